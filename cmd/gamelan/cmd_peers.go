package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type peersCmd struct {
	List   peersListCmd   `cmd:"" default:"withargs" help:"List the peers that the node knows."`
	Add    peersAddCmd    `cmd:"" help:"Add peers, so that the node knows where they are."`
	Forget peersForgetCmd `cmd:"" help:"Forget peers, and how often they could be reached."`
	Export peersExportCmd `cmd:"" help:"Write all that is known of peers as JSON."`
	Import peersImportCmd `cmd:"" help:"Take over peers that were exported."`
}

type peersListCmd struct {
	Failed bool `help:"Only peers that are not connected and whose last dial failed."`
}

func (c *peersListCmd) Run(a *app) error {
	peers, err := allPeers(a)
	if err != nil {
		return err
	}
	if c.Failed {
		var some []inspect.Peer
		for _, p := range peers {
			if _, failed := lastFailure(p); failed {
				some = append(some, p)
			}
		}
		peers = some
	}
	return printPeers(a, peers)
}

type peersAddCmd struct {
	Peer []string `arg:"" help:"KEY::ADDRESS as gamelan id prints it; several addresses are separated by ::." placeholder:"KEY::ADDRESS"`
}

func (c *peersAddCmd) Run(a *app) error {
	for _, seed := range c.Peer {
		if err := checkSeed(seed); err != nil {
			return err
		}
	}
	client := a.client()
	for _, seed := range c.Peer {
		var done peerAnswer
		if err := client.post(a.ctx, "/v1/peers", strings.NewReader(seed), &done); err != nil {
			return err
		}
		if err := printDone(a, "added", done); err != nil {
			return err
		}
	}
	return nil
}

type peersForgetCmd struct {
	Peer []string `arg:"" help:"A node id or public key that gamelan peers lists."`
}

func (c *peersForgetCmd) Run(a *app) error { return doToPeers(a, c.Peer, "forget", "forgotten", nil) }

// doToPeers has the node do the same to each of peers and prints what was done.
func doToPeers(a *app, peers []string, verb, done string, params url.Values) error {
	for _, p := range peers {
		if err := checkKnownPeer(p); err != nil {
			return err
		}
	}
	return askForPeers(a, peers, verb, done, params)
}

// doToAnyPeers is doToPeers for what can also be done to a peer that is given as
// KEY::ADDRESS: the node gets to know it.
func doToAnyPeers(a *app, peers []string, verb, done string, params url.Values) error {
	for _, p := range peers {
		if err := checkPeer(p); err != nil {
			return err
		}
	}
	return askForPeers(a, peers, verb, done, params)
}

func askForPeers(a *app, peers []string, verb, done string, params url.Values) error {
	client := a.client()
	for _, p := range peers {
		if strings.Contains(p, "::") {
			var known peerAnswer
			if err := client.post(a.ctx, "/v1/peers", strings.NewReader(p), &known); err != nil {
				return err
			}
			p = known.NodeID
		}
		var answer peerAnswer
		if err := client.post(a.ctx, "/v1/peers/"+url.PathEscape(p)+":"+verb+query(params), nil, &answer); err != nil {
			return err
		}
		if err := printDone(a, done, answer); err != nil {
			return err
		}
	}
	return nil
}

// query is the part of a URL that holds params.
func query(params url.Values) string {
	if len(params) == 0 {
		return ""
	}
	return "?" + params.Encode()
}

// allPeers reads the list page by page.
func allPeers(a *app) ([]inspect.Peer, error) {
	c := a.client()
	var all []inspect.Peer
	for {
		var page struct {
			Items []inspect.Peer
			Total int
		}
		if err := c.getJSON(a.ctx, fmt.Sprintf("/v1/peers?limit=%d&offset=%d", inspect.MaxLimit, len(all)), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if len(page.Items) == 0 || len(all) >= page.Total {
			return all, nil
		}
	}
}

// lastFailure is the newest dial of p, if it failed and there was no connection
// since.
func lastFailure(p inspect.Peer) (failed inspect.Address, ok bool) {
	since := p.EndedAt
	for _, a := range p.Addresses {
		if a.LastOK.After(since) {
			since = a.LastOK
		}
		if a.LastError != "" && !a.LastAttempt.Before(failed.LastAttempt) {
			failed = a
		}
	}
	return failed, p.Connection == nil && failed.LastError != "" && failed.LastAttempt.After(since)
}
