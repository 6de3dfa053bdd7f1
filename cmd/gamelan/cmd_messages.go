package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type messagesCmd struct {
	Failed bool   `help:"Only those that have ended and that no peer has confirmed."`
	Peer   string `help:"Only those that were sent to this peer: a node id or public key." placeholder:"PEER"`
}

// Help is what gamelan messages --help says beneath the flags.
func (*messagesCmd) Help() string {
	return fmt.Sprintf("Those under way, and the last %s that ended; a restart of the node forgets them. ", inspect.Number(dht.LedgerKept)) +
		"Confirmed says that the peer's node has read its copy: not that it was passed on, has reached its destination, or was handled by anybody."
}

func (c *messagesCmd) Run(a *app) error {
	params := url.Values{}
	if c.Failed {
		params.Set("state", "failed")
	}
	if c.Peer != "" {
		if err := checkKnownPeer(c.Peer); err != nil {
			return err
		}
		peer := c.Peer
		if key, err := identity.ParsePublicKey(peer); err == nil {
			peer = key.NodeID().String()
		}
		params.Set("peer", peer)
	}
	all, forgotten, err := ledger(a, params)
	if err != nil {
		return err
	}
	if len(all) == 0 && !a.json {
		var d inspect.DHT
		if err := a.client().getJSON(a.ctx, "/v1/dht", &d); err == nil && !d.On {
			a.note("this node has no DHT; %s", noDHTHint)
			return nil
		}
	}
	if err := printReports(a, all); err != nil {
		return err
	}
	if forgotten > 0 {
		a.note("%s forgotten: the last %s that ended are kept.", inspect.Count(forgotten, "older message"), inspect.Number(dht.LedgerKept))
	}
	return nil
}

// ledger reads reports page by page. forgotten is how many more have ended, of all
// messages.
func ledger(a *app, params url.Values) (all []inspect.Report, forgotten uint64, err error) {
	c := a.client()
	params.Set("limit", strconv.Itoa(inspect.MaxLimit))
	for {
		var page struct {
			Items []inspect.Report
			Total int
			Ended uint64
		}
		params.Set("offset", strconv.Itoa(len(all)))
		if err := c.getJSON(a.ctx, "/v1/ledger?"+params.Encode(), &page); err != nil {
			return nil, 0, err
		}
		all = append(all, page.Items...)
		if len(page.Items) == 0 || len(all) >= page.Total {
			return all, page.Ended - min(page.Ended, dht.LedgerKept), nil
		}
	}
}

type messageCmd struct {
	Tag string `arg:"" help:"The tag that gamelan send and gamelan messages show."`
}

// Run shows the message, or all of them if several have the tag.
func (c *messageCmd) Run(a *app) error {
	text := strings.TrimPrefix(strings.ToLower(c.Tag), "0x")
	tag, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return usage("give one that gamelan messages lists", "%q is no tag", c.Tag)
	}
	all, _, err := ledger(a, url.Values{"tag": {tagText(tag)}})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return failed("unknown_message", "those that it remembers are listed by gamelan messages", "the node knows no message with the tag %s", tagText(tag))
	}
	for i := range all {
		if i > 0 && !a.json {
			fmt.Fprintln(a.out)
		}
		if err := printReport(a, &all[i], time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// tagText is a tag as it is printed.
func tagText(tag uint64) string { return fmt.Sprintf("%016x", tag) }
