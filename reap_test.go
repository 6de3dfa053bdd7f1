package gamelan_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
)

// party is a node with connections to others, which have names, and what it
// tells of the ends of these.
type party struct {
	t      *testing.T
	net    *gamelantest.Network
	hub    *gamelantest.Node
	guests map[string]*gamelantest.Node

	mu    sync.Mutex
	ended map[identity.NodeID]actors.CloseReason // as events said
}

func newParty(t *testing.T, cfg gamelan.Config) *party {
	net := gamelantest.NewNetwork(t)
	p := &party{
		t: t, net: net, hub: net.Start(cfg, gamelan.WithLogger(discard)),
		guests: make(map[string]*gamelantest.Node), ended: make(map[identity.NodeID]actors.CloseReason),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var heard sync.WaitGroup
	heard.Go(func() {
		for e := range p.hub.Events(ctx) {
			if m, ok := e.Value.(actors.PeerDisconnected); ok {
				p.mu.Lock()
				p.ended[m.Peer] = m.Reason
				p.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { cancel(); heard.Wait() })
	synctest.Wait()
	return p
}

// invites has the hub dial a new node; visits is a new node that dials the hub.
func (p *party) invites(name string, cfg gamelan.Config) *gamelantest.Node {
	g := p.guest(name, cfg)
	p.net.Connect(p.hub, g)
	return g
}

func (p *party) visits(name string, cfg gamelan.Config) *gamelantest.Node {
	g := p.guest(name, cfg)
	p.net.Connect(g, p.hub)
	return g
}

func (p *party) guest(name string, cfg gamelan.Config) *gamelantest.Node {
	time.Sleep(time.Second) // so that each is younger than the one before
	g := p.net.Start(cfg, gamelan.WithLogger(discard), gamelan.WithProtocol("/echo/1", newEcho))
	p.guests[name] = g
	return g
}

// uses opens more substreams to the guest than an idle connection has.
func (p *party) uses(name string) {
	for range 3 {
		s, err := p.hub.OpenStream(p.t.Context(), p.guests[name].ID(), "/echo/1")
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { s.Close() })
	}
}

func (p *party) allows(name string) {
	if err := p.hub.Peers().Allow(p.t.Context(), p.guests[name].ID()); err != nil {
		p.t.Fatal(err)
	}
}

// wants has a part of the hub keep the connections of these guests open.
func (p *party) wants(names ...string) {
	var peers []identity.NodeID
	for _, name := range names {
		peers = append(peers, p.guests[name].ID())
	}
	nodetest.Trunk(p.hub).KeepOpen("test", peers)
}

// wantGone checks whose connections have ended, in the list and in the events,
// and that it was the hub that ended them, for the reason given.
func (p *party) wantGone(when, code string, names ...string) {
	p.t.Helper()
	listed := make(map[identity.NodeID]actors.CloseReason)
	for _, x := range nodetest.Trunk(p.hub).Closed() {
		listed[x.Ref.Peer] = x.Reason
	}
	p.mu.Lock()
	ended := maps.Clone(p.ended)
	p.mu.Unlock()
	want := actors.CloseReason{Code: code, By: "us"}
	for name, g := range p.guests {
		_, live := p.hub.Connection(g.ID())
		_, there := g.Connection(p.hub.ID())
		if !slices.Contains(names, name) {
			if !live || !there || listed[g.ID()] != (actors.CloseReason{}) || ended[g.ID()] != (actors.CloseReason{}) {
				p.t.Errorf("%s: %s: got the end listed as %q and told as %q, connected %t and %t, want it connected", when, name, listed[g.ID()], ended[g.ID()], live, there)
			}
			continue
		}
		if live || listed[g.ID()] != want || ended[g.ID()] != want {
			p.t.Errorf("%s: %s: got the end listed as %q and told as %q, connected %t, want both %q", when, name, listed[g.ID()], ended[g.ID()], live, want)
		}
	}
}

// TestReaping gives a node more connections than it may have, some of which are
// needed: once they are old enough the idle ones go, what is stalled first, then
// the oldest, and no more of them than there are too many.
//
// conforms: comms 125
func TestReaping(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := newParty(t, gamelan.Config{})
		nodetest.Trunk(p.hub).LimitIdle(connpool.ReapLimits{Outbound: 6, Inbound: 4}) // before there is anything to reap
		p.invites("held", gamelan.Config{})
		defer p.hub.Protect(p.guests["held"].ID(), "test")()
		p.invites("wanted", gamelan.Config{})
		p.visits("guest wanted", gamelan.Config{})
		p.wants("wanted", "guest wanted")
		p.invites("used", gamelan.Config{})
		p.uses("used")
		p.invites("allowed", gamelan.Config{})
		p.allows("allowed")
		p.invites("oldest", gamelan.Config{})
		p.invites("older", gamelan.Config{})
		p.invites("newer", gamelan.Config{})
		stalled := p.invites("stalled", gamelan.Config{})
		stream, err := p.hub.OpenStream(t.Context(), stalled.ID(), "/echo/1")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		p.visits("guest allowed", gamelan.Config{})
		p.allows("guest allowed")
		p.visits("guest held", gamelan.Config{})
		defer p.hub.Protect(p.guests["guest held"].ID(), "test")()
		p.visits("guest oldest", gamelan.Config{})
		p.visits("guest older", gamelan.Config{})
		p.visits("guest newer", gamelan.Config{})

		// Connectivity looks every minute.
		time.Sleep(19*time.Minute + 40*time.Second)
		p.wantGone("before 20 minutes", "")
		time.Sleep(50 * time.Second)
		p.hub.Transport.Partition(stalled.Transport)
		var sent sync.WaitGroup
		sent.Go(func() { stream.Write(make([]byte, 200<<10)) }) // more than is under way at once
		time.Sleep(time.Minute)
		p.hub.Transport.Heal(stalled.Transport)
		time.Sleep(20 * time.Second)
		gone := []string{"stalled", "oldest", "guest oldest", "guest older"}
		p.wantGone("after 21 minutes", actors.CloseReaped, gone...)
		time.Sleep(time.Hour)
		p.wantGone("an hour later, when there are not too many", actors.CloseReaped, gone...)
		sent.Wait()
	})
}

// TestKeepClosest connects a node to more others than it keeps: beyond the closest
// they go, except who is needed.
//
// conforms: comms 126
func TestKeepClosest(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const keep = 3
		p := newParty(t, gamelan.Config{KeepClosest: keep})
		all := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
		for i, name := range all {
			if i%2 == 0 {
				p.invites(name, gamelan.Config{})
			} else {
				p.visits(name, gamelan.Config{})
			}
		}
		p.visits("client", gamelan.Config{Client: true})
		self := p.hub.ID()
		slices.SortFunc(all, func(a, b string) int {
			return self.Distance(p.guests[b].ID()).Cmp(self.Distance(p.guests[a].ID()))
		})
		// The farthest are needed, and so is the closest, which does not count.
		defer p.hub.Protect(p.guests[all[0]].ID(), "test")()
		p.uses(all[1])
		p.uses(all[len(all)-1])
		p.allows(all[2])
		p.wantGone("at first", "")
		time.Sleep(2 * time.Minute)
		gone := all[3 : len(all)-1-keep]
		p.wantGone("after two minutes", actors.CloseMinimised, gone...)
		time.Sleep(time.Hour)
		p.wantGone("an hour later", actors.CloseMinimised, gone...)
	})
}

// TestReapingOfWhatIsUsedByNow has a connection taken into use between the
// decision that it is idle and its close: it goes on, and is still known.
func TestReapingOfWhatIsUsedByNow(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := newParty(t, gamelan.Config{})
		p.invites("used", gamelan.Config{})
		p.uses("used")
		conn, _ := p.hub.Connection(p.guests["used"].ID())
		for _, code := range []string{actors.CloseReaped, actors.CloseMinimised} {
			p.hub.System().Root.Send(nodetest.Trunk(p.hub).Conns(), connections.CloseConn{
				Peer: conn.Peer, Conn: conn.ID, Reason: actors.CloseReason{Code: code, By: "us"},
			})
			time.Sleep(time.Minute)
			p.wantGone(code, "")
		}
	})
}

// TestWantedConnectionsKeepTheirPlace has guests come when all places for inbound
// connections are taken: a connection that a part wants does not make room for them. It has
// no other privilege.
func TestWantedConnectionsKeepTheirPlace(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := newParty(t, gamelan.Config{MaxInbound: 2})
		p.visits("wanted", gamelan.Config{})
		p.wants("wanted")
		p.visits("idle", gamelan.Config{})
		time.Sleep(time.Minute)
		p.visits("next", gamelan.Config{})
		time.Sleep(10 * time.Second) // the end of the other one is orderly
		p.wantGone("when the places are taken", actors.CloseReplaced, "idle")
		time.Sleep(time.Minute)
		p.visits("last", gamelan.Config{})
		time.Sleep(10 * time.Second) // the end of the other one is orderly
		p.wantGone("when they are taken again", actors.CloseReplaced, "idle", "next")
		hub, wanted := nodetest.Trunk(p.hub), p.guests["wanted"].ID()
		if hub.Unlimited(wanted) || hub.Trunk.Protected(wanted) || hub.Trunk.Allowed(wanted) {
			t.Error("the peer is protected, allowed or without limits, want only its connection kept")
		}
		p.wants()
		time.Sleep(time.Minute)
		p.visits("another", gamelan.Config{})
		time.Sleep(10 * time.Second) // the end of the other one is orderly
		if closed := hub.Closed(); len(closed) != 3 {
			t.Errorf("got %d connections closed, want 3: nobody is wanted any more", len(closed))
		}
	})
}
