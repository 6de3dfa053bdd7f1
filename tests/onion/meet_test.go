package onion

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TestColdNodesMeet has two nodes that have just started and know each other's onion address
// alone: one message opens everything, 1,000 go each way, every one confirmed and in order.
func TestColdNodesMeet(t *testing.T) {
	a, b := pairOfNodes(t, gamelan.Config{NoDHT: true})
	begin := time.Now()
	a.confirmed(a.submit(b.ID(), 0, 1), b.heard)
	t.Logf("the first message was confirmed %v after it was sent", time.Since(begin).Round(time.Millisecond))
	if c := a.Connections(); len(c) != 1 || c[0].Addr.String() != b.onion.String() {
		t.Errorf("got the connections %v, want one to %s", c, b.onion)
	}
	// Tor delivers from 127.0.0.1, which is nobody's address.
	if c := b.Connections(); len(c) != 1 || strings.Contains(c[0].Addr.String(), "/ip4/") {
		t.Errorf("got the connections %v, want one without an IP address", c)
	}
	var ways sync.WaitGroup
	for _, way := range []struct{ from, to *onionNode }{{a, b}, {b, a}} {
		ways.Go(func() { way.from.confirmed(way.from.submit(way.to.ID(), 1, 1000), way.to.heard) })
	}
	ways.Wait()
	for _, n := range []*onionNode{a, b} {
		if !n.heard.ascending() {
			t.Errorf("%s heard messages out of order", n.ID())
		}
	}
}

// ending is a way to end a Tor.
type ending struct {
	name string
	end  func(*tornet.Client)
	news bool // fresh circuits may be asked for
}

var endings = []ending{
	{"TERM", (*tornet.Client).Terminate, false},
	{"KILL", (*tornet.Client).Kill, true},
}

// TestTorEndsAndStarts ends the Tor of each of two nodes in turn, in order and by force, under
// messages both ways, and starts it again. The nodes stay; the onion service comes back with
// the same address; every message has one outcome, which is true, and those that may be repeated
// all arrive.
//
// With NEWNYM permitted a Tor that was killed can be reached again: its peer's Tor holds on to
// circuits of the dead one.
func TestTorEndsAndStarts(t *testing.T) {
	for _, way := range endings {
		t.Run(way.name, func(t *testing.T) {
			c := gamelan.Config{NoDHT: true, KeepAlive: time.Second, Mux: quickPings}
			c.Tor.NewCircuits = way.news
			a, b := pairOfNodes(t, c)
			a.confirmed(a.submit(b.ID(), 0, 1), b.heard)
			next := 1
			for _, victim := range []*onionNode{b, a} {
				seen := victim.seen()
				before, _ := a.Connection(b.ID())
				const count = 500
				there, back := a.submit(b.ID(), next, count), b.submit(a.ID(), next, count)
				again := a.submit(b.ID(), repeats+next, 50, gamelan.Resend())
				next += count
				there[0].pending.Wait(t.Context()) // the rest is on its way
				way.end(victim.tor)
				seen = victim.since(seen, tor.Unpublished)
				if err := victim.tor.Start(); err != nil {
					t.Fatal(err)
				}
				if err := victim.tor.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				ready := time.Now()
				victim.since(seen, tor.Published)
				published := time.Since(ready)
				a.lost(b, before)
				a.redial(b)
				t.Logf("Tor of %s: published %v and connected again %v after it was ready", victim.tor.Name(), published.Round(time.Millisecond), time.Since(ready).Round(time.Millisecond))
				t.Logf("messages under way: there %v, back %v, to be repeated %v", a.truth(there, b.heard), b.truth(back, a.heard), a.truth(again, b.heard))
				a.arrive(b, again)
				a.confirmed(a.submit(b.ID(), next, 10), b.heard)
				b.confirmed(b.submit(a.ID(), next, 10), a.heard)
				next += 10
			}
			for _, n := range []*onionNode{a, b} {
				if !n.heard.ascending() {
					t.Errorf("%s heard messages out of order", n.ID())
				}
			}
		})
	}
}

// quickPings finds a silent peer in 10 s instead of 65 s.
var quickPings = gamelan.MuxConfig{WriteTimeout: 9 * time.Second, PingTimeout: 10 * time.Second}

// lost waits until a connection to a peer has ended.
func (n *onionNode) lost(other *onionNode, before *gamelan.Connection) {
	n.t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if now, ok := n.Connection(other.ID()); !ok || now != before {
			return
		}
		if time.Now().After(limit) {
			n.t.Fatal("the connection is still there after a minute")
		}
	}
}

// redial dials until it works, at most three minutes.
func (n *onionNode) redial(other *onionNode) {
	n.t.Helper()
	for limit := time.Now().Add(3 * time.Minute); ; {
		_, err := n.Dial(n.t.Context(), other.ID())
		if err == nil {
			return
		}
		n.t.Logf("dial: %v", err)
		if time.Now().After(limit) {
			n.t.Fatal("no connection within three minutes")
		}
	}
}

// TestDeadOnionIsNotBrokenTor tells an onion service that is not there from a Tor that does not
// run, and from one that runs and has no network: each has an error of its own, within its time.
func TestDeadOnionIsNotBrokenTor(t *testing.T) {
	net := network(t)
	client := net.Clients[2]
	dead, err := newKey(t).ID().Multiaddr(tor.DefaultOnionPort)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, to ma.Multiaddr, stage transport.Stage, cause socks.Cause) {
		t.Helper()
		tr := socksThrough(t, client, socks.Options{})
		for try := 1; ; try++ {
			conn, err := tr.Dial(t.Context(), to)
			if err == nil {
				conn.Close()
				t.Fatalf("%s: got a connection", what)
			}
			e, _ := errors.AsType[*socks.Error](err)
			de, _ := errors.AsType[*transport.DialError](err)
			if e == nil || de == nil || de.Stage != stage || !errors.Is(err, transport.ErrUnreachable) {
				t.Fatalf("%s: got %v, want an error at %s", what, err, stage)
			}
			if e.Cause == socks.CauseTimeout && try < 3 { // Tor was too busy to ask a directory
				t.Logf("%s: %v", what, err)
				continue
			}
			if e.Cause != cause {
				t.Errorf("%s: got %s (%v), want %s", what, e.Cause, err, cause)
			}
			return
		}
	}
	check("a service that was never published", dead, transport.StageConnect, socks.CauseNotPublished)

	if _, err := client.Ask("SETCONF DisableNetwork=1"); err != nil {
		t.Fatal(err)
	}
	// Tor closes its SOCKS ports then.
	check("a Tor without a network", dead, transport.StageProxy, socks.CauseProxyDown)
	r := drive(t, torOf{client}, "safecookie=@"+client.Cookie)
	r.until("no circuits", func() bool { s := r.c.Status(); return r.ready() && !s.Circuits })
	if text := r.c.Status().Trouble(); text == "" {
		t.Error("got no trouble of a Tor without a network")
	}
	if _, err := client.Ask("SETCONF DisableNetwork=0"); err != nil {
		t.Fatal(err)
	}
	if err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	client.Kill()
	check("no Tor", dead, transport.StageProxy, socks.CauseProxyDown)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("a service that was never published, again", dead, transport.StageConnect, socks.CauseNotPublished)
}
