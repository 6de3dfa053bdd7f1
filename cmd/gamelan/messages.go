package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type messagesCmd struct {
	Failed bool   `help:"Only those that have ended and that no peer has confirmed."`
	Peer   string `help:"Only those that were sent to this peer, or stored for it: a name or public key, or the beginning of one." placeholder:"PEER"`
}

// Help returns the text of gamelan messages --help below the flags.
func (*messagesCmd) Help() string {
	return fmt.Sprintf("Lists the messages under way, and the last %s that ended; a restart of the node forgets them. ", inspect.Number(dht.LedgerKept)) +
		"Messages of gamelan send PEER, without --to, do not go over the DHT and are not listed: gamelan send says how each of them ended. " +
		"Confirmed means that the peer's node has read its copy, not that the copy was relayed, has reached its destination, or was handled there."
}

func (c *messagesCmd) Run(a *app) error {
	var which client.Sent
	if c.Failed {
		which.State = "failed"
	}
	typed := c.Peer
	if c.Peer != "" {
		var err error
		if c.Peer, err = a.named(c.Peer); err != nil {
			return err
		}
		if err := api.CheckKnownPeer(c.Peer); err != nil {
			return err
		}
		which.Peer = c.Peer
		if key, err := identity.ParsePublicKey(c.Peer); err == nil {
			which.Peer = key.NodeID().String()
		}
	}
	all, ended, err := a.client().Ledger(a.ctx, which)
	if err != nil {
		return err
	}
	if len(all) == 0 && !a.JSON {
		if d, err := a.client().DHT(a.ctx); err == nil && !d.On {
			a.Note("this node has no DHT; %s", api.NoDHTHint)
			return nil
		}
	}
	if len(all) == 0 && (c.Peer != "" || c.Failed) && !a.JSON {
		a.Note("%s", c.none(a, typed))
		return nil
	}
	if err := render.Messages(a.Output, all); err != nil {
		return err
	}
	if c.Peer != "" {
		a.Note("%s", notListed)
	}
	if forgotten := ended - min(ended, dht.LedgerKept); forgotten > 0 {
		a.Note("%s forgotten: the last %s that ended are kept.", inspect.Count(forgotten, "older message"), inspect.Number(dht.LedgerKept))
	}
	return nil
}

// notListed says what is not in the list.
const notListed = "Messages of gamelan send PEER, without --to, are not listed: gamelan send says how each of them ended."

// none says that the node remembers no message of those that were asked for; peer is as it
// was typed.
func (c *messagesCmd) none(a *app, peer string) string {
	see := fmt.Sprintf("; see all with \"%s\"", a.Command("messages"))
	switch {
	case c.Peer == "":
		return "no remembered message over the DHT has failed" + see
	case c.Failed:
		return "no remembered message over the DHT to " + peer + " has failed" + see
	}
	return "the node remembers no message over the DHT to " + peer + see + ". " + notListed
}

type messageCmd struct {
	Tag string `arg:"" help:"The tag that gamelan send and gamelan messages show, or the beginning of it."`
}

// tagged returns the messages of the tag that begins with text. It is an error when there is
// none, or more than one.
func tagged(a *app, text string) ([]models.Report, error) {
	all, _, err := a.client().Ledger(a.ctx, client.Sent{})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r models.Report) bool { return !strings.HasPrefix(r.Tag, text) })
	var tags []string
	for i := range all {
		if !slices.Contains(tags, all[i].Tag) {
			tags = append(tags, all[i].Tag)
		}
	}
	switch n := len(tags); {
	case n == 0:
		return nil, failure.New("unknown_message", "see those that it remembers with gamelan messages", "the node knows no message with the tag %s", text)
	case n > 1:
		return nil, failure.Usage("give more digits", "%s tags begin with %s: %s", inspect.Number(uint64(n)), text, inspect.Candidates(tags))
	}
	return all, nil
}

// Run shows the message, or all of them if several have the tag.
func (c *messageCmd) Run(a *app) error {
	text := strings.TrimPrefix(strings.ToLower(c.Tag), "0x")
	tag, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return failure.Usage("give one that gamelan messages lists", "%q is no tag", c.Tag)
	}
	all, _, err := a.client().Ledger(a.ctx, client.Sent{Tag: fmt.Sprintf("%016x", tag)})
	if err == nil && len(all) == 0 {
		all, err = tagged(a, text)
	}
	if err != nil {
		return err
	}
	for i := range all {
		if i > 0 && !a.JSON {
			fmt.Fprintln(a.Out)
		}
		if err := render.Message(a.Output, &all[i], time.Now()); err != nil {
			return err
		}
	}
	return nil
}
