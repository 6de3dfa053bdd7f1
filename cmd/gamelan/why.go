package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/transport"
)

type whyCmd struct {
	Stacks bool   `help:"Of an actor: show the stacks of its goroutines, too."`
	Since  string `help:"Of a peer: show what happened with it since a time, too: 24h, 03:00, 2026-01-31 03:00." placeholder:"TIME"`
	All    bool   `help:"Of a peer: show all of its last dials, and the scores of the choice that considered it."`
	Peer   string `arg:"" peer:"" name:"peer-or-actor" help:"A name or public key that gamelan peers lists, an IP address from which others connect, or the path or name of an actor in gamelan tree."`
}

// Help returns the text of gamelan why --help below the flags.
func (*whyCmd) Help() string {
	return "Of a peer: the first line says how it stands, since when, and the cause. Below stand what was tried, its addresses, whether this machine reaches others, connections of it that this node has refused, and what can be done. " +
		"Of an IP address: which connections from there this node has refused before their key was known. " +
		"It says what the node has done; \"gamelan doctor PEER\" tries it now."
}

// Run shows, for a peer, how it stands and why, with --all its last dials and the last choice that
// considered it; for an actor, its state and its tasks.
func (c *whyCmd) Run(a *app) error {
	var err error
	if c.Peer, err = a.named(c.Peer); err != nil {
		return err
	}
	if ip := addressIn(c.Peer); ip != "" {
		w, err := a.client().Why(a.ctx, ip)
		if err != nil {
			return err
		}
		return render.Why(a.Output, w, render.WhyOptions{Now: time.Now()})
	}
	if err := api.CheckKnownPeer(c.Peer); err != nil {
		if strings.Contains(c.Peer, "::") {
			return err
		}
		return whyActor(a, c.Peer, c.Stacks)
	}
	w, err := a.client().Why(a.ctx, c.Peer)
	if err != nil {
		return err
	}
	x := render.WhyOptions{All: c.All, Now: time.Now()}
	if !a.JSON {
		x.DHT, x.Conn = a.hasDHT(), a.connectionTo(w.NodeID)
	}
	if c.Since == "" {
		return render.Why(a.Output, w, x)
	}
	q := inspect.EventQuery{Peer: w.NodeID, Limit: inspect.MaxLimit}
	if q.From, err = timeOf("--since", c.Since, time.Now()); err != nil {
		return err
	}
	all, err := a.client().Events(a.ctx, q)
	if err != nil {
		return err
	}
	return render.WhySince(a.Output, w, all.Events, x)
}

// addressIn returns the IP address of a text that is one, with a port or as a multiaddr, and otherwise "".
func addressIn(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Unmap().String()
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().String()
	}
	if m, err := ma.NewMultiaddr(text); err == nil && strings.HasPrefix(text, "/ip") {
		if ip, ok := transport.IP(m); ok {
			return ip.Unmap().String()
		}
	}
	return ""
}

// hasDHT reports whether the node runs the DHT.
func (a *app) hasDHT() bool {
	d, err := a.client().DHT(a.ctx)
	return err == nil && d.On
}

// connectionTo returns the connection to a peer, nil if there is none or the node does not show it.
func (a *app) connectionTo(id string) *models.Connection {
	conns, _ := a.client().Connections(a.ctx, false)
	if i := slices.IndexFunc(conns, func(c models.Connection) bool { return c.Peer == id }); i >= 0 {
		return &conns[i]
	}
	return nil
}

// whyActor shows what an actor does.
func whyActor(a *app, path string, withStacks bool) error {
	node, given := a.client(), path
	path = a.actorPath(given)
	actor, err := node.Actor(a.ctx, path)
	if client.CodeOf(err) == inspect.CodeNotFound {
		return failure.New(inspect.CodeNotFound, "see the peers with gamelan peers, and the actors with gamelan tree", "%q is neither a peer nor an actor", given)
	}
	if err != nil {
		return err
	}
	stacks, err := node.Stacks(a.ctx, path)
	if err != nil {
		return err
	}
	if err := render.ShowActor(a.Output, render.Actor{Actor: actor, Stacks: stacks.Goroutines}, withStacks, stacks.LastFailure); err != nil || a.JSON || !fetchesStored(actor.ID) {
		return err
	}
	s, err := node.StoreForward(a.ctx)
	if err != nil {
		return err
	}
	return render.WhyStored(a.Output, &s, time.Now())
}

// fetchesStored reports whether an actor of this path asks for stored messages, or is the
// parent of the one that does.
func fetchesStored(path string) bool {
	return strings.HasSuffix(path, "/node/saf") || strings.HasSuffix(path, "/node/saf/client")
}
