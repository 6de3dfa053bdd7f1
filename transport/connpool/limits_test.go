package connpool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

func from(ip string) From {
	a := netip.MustParseAddr(ip)
	source, _ := a.Prefix(32)
	subnet, _ := a.Prefix(24)
	return From{source, subnet}
}

func (g *Gate) enters(t *testing.T, f From, want string) {
	t.Helper()
	got := ""
	if err := g.Enter(f); err != nil {
		limit, ok := errors.AsType[*LimitError](err)
		if !ok || !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), fmt.Sprint(limit.Limit)) {
			t.Fatalf("got %v, want a limit", err)
		}
		got = limit.Name
	}
	if got != want {
		t.Errorf("%v: got %q, want %q", f.Source, got, want)
	}
}

// TestGate fills every limit of a gate.
//
// conforms: comms 111; V 8
func TestGate(t *testing.T) {
	t.Run("defaults", func(t *testing.T) {
		g := NewGate(GateLimits{})
		for range 4 {
			g.enters(t, from("8.8.8.8"), "")
		}
		g.enters(t, from("8.8.8.8"), "MaxSetupsPerSource")
		for i := range 12 {
			g.enters(t, from(fmt.Sprintf("8.8.8.%d", 100+i)), "")
		}
		g.enters(t, from("8.8.8.9"), "MaxSetupsPerSubnet")
		for i := range 84 {
			g.enters(t, from(fmt.Sprintf("8.%d.8.9", 10+i)), "")
		}
		g.enters(t, From{}, "MaxSetups")
		g.Leave(from("8.10.8.9"), false)
		g.enters(t, From{}, "")
		g.enters(t, From{}, "MaxSetups")
	})
	t.Run("connections", func(t *testing.T) {
		g := NewGate(GateLimits{})
		connect := func(f From, n int) {
			t.Helper()
			for range n {
				g.enters(t, f, "")
				if err := g.Establish(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		connect(from("8.8.8.8"), 32)
		g.enters(t, from("8.8.8.8"), "MaxInboundPerSource")
		for i := range 3 {
			connect(from(fmt.Sprintf("8.8.8.%d", i)), 32)
		}
		g.enters(t, from("8.8.8.99"), "MaxInboundPerSubnet")
		connect(From{}, 500-128)
		g.enters(t, From{}, "MaxInbound")
		g.Leave(from("8.8.8.8"), true)
		g.enters(t, From{}, "")
		g.enters(t, from("8.8.8.8"), "")
		if setups, conns := g.Counts(); setups != 2 || conns != 499 {
			t.Errorf("got %d set-ups and %d connections, want 2 and 499", setups, conns)
		}
		if err := g.Establish(from("8.8.8.8")); err != nil {
			t.Error(err)
		}
		if err := g.Establish(From{}); !errors.Is(err, ErrLimit) { // more were set up at once than may stay
			t.Errorf("got %v, want %v", err, ErrLimit)
		}
		g.Leave(From{}, false)
		if setups, _ := g.Counts(); setups != 0 {
			t.Errorf("got %d set-ups, want 0", setups)
		}
	})
	t.Run("memory", func(t *testing.T) {
		g := NewGate(GateLimits{})
		for i := range 10_000 {
			f := from(fmt.Sprintf("9.%d.%d.1", i/250, i%250))
			g.enters(t, f, "")
			g.Leave(f, false)
		}
		if len(g.where) != 0 {
			t.Errorf("got %d networks remembered, want none", len(g.where))
		}
	})
}

var reapTime = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func liveConn(n int, outbound bool, age time.Duration) Live {
	return Live{Peer: identity.NodeID{byte(n >> 8), byte(n)}, Conn: uint64(n), Outbound: outbound, Node: true, Since: reapTime.Add(-age)}
}

func connsOf(list []Live) (ids []uint64) {
	for _, x := range list {
		ids = append(ids, x.Conn)
	}
	return ids
}

// TestReap closes what is idle beyond the limits, and nothing else.
//
// conforms: comms 125
func TestReap(t *testing.T) {
	const old = 20 * time.Minute
	var live []Live
	for i := range 50 {
		live = append(live, liveConn(i, true, old+time.Duration(i)*time.Second))
	}
	for i := range 400 {
		live = append(live, liveConn(1000+i, false, old+time.Hour))
	}
	if got := Reap(reapTime, live, ReapLimits{}); len(got) != 0 {
		t.Errorf("at the limits: got %v reaped, want none", connsOf(got))
	}
	live = append(live, liveConn(100, true, old-1), liveConn(101, true, old), liveConn(102, true, old))
	if got, want := connsOf(Reap(reapTime, live, ReapLimits{})), []uint64{49, 48, 47}; !slices.Equal(got, want) {
		t.Errorf("got %v reaped, want the three oldest %v", got, want)
	}
	live[49].Held, live[48].Streams, live[47].Streams, live[3].Stalled = true, 3, 2, true
	if got, want := connsOf(Reap(reapTime, live, ReapLimits{})), []uint64{3, 47, 46}; !slices.Equal(got, want) {
		t.Errorf("got %v reaped, want what stands still first, and nobody who is held or used: %v", got, want)
	}
	for i := range live {
		live[i].Since = reapTime.Add(1 - old)
	}
	if got := Reap(reapTime, live, ReapLimits{}); len(got) != 0 {
		t.Errorf("all young: got %v reaped, want none", connsOf(got))
	}
	live = append(live, liveConn(2000, false, old), liveConn(2001, false, old))
	if got, want := connsOf(Reap(reapTime, live, ReapLimits{})), []uint64{2000, 2001}; !slices.Equal(got, want) {
		t.Errorf("got %v reaped, want inbound ones %v", got, want)
	}
}

// TestMinimise keeps the closest.
//
// conforms: comms 126
func TestMinimise(t *testing.T) {
	own := identity.NodeID{0, 3}
	var live []Live
	for i := range 8 {
		live = append(live, liveConn(i, i%2 == 0, 0)) // distance i XOR 3
	}
	live[5].Node = false
	live[7].Held = true
	spared := func(id identity.NodeID) bool { return id == live[4].Peer }
	// By distance: 3 2 1 0 (7 held) 6 (5 no node) (4 spared)
	if got, want := connsOf(Minimise(own, live, 2, spared)), []uint64{6, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v closed, want %v", got, want)
	}
	if got := Minimise(own, live, 5, spared); len(got) != 0 {
		t.Errorf("got %v closed, want none", connsOf(got))
	}
	if got, want := connsOf(Minimise(own, live, 4, nil)), []uint64{4, 6}; len(got) != 2 || !slices.Equal(got[:1], want[:1]) {
		t.Errorf("nobody spared: got %v closed, want %v", got, want)
	}
}

// TestSelection uses connected nodes only, the nearest first.
//
// conforms: comms 128
func TestSelection(t *testing.T) {
	var live []Live
	for i := range 8 {
		live = append(live, liveConn(i, true, 0))
	}
	live[2].Node = false
	target := identity.NodeID{0, 3}
	want := []identity.NodeID{live[3].Peer, live[1].Peer, live[0].Peer}
	if got := Closest(target, live, 3, live[7].Peer); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Closest(target, live, 100, live[7].Peer); len(got) != 6 {
		t.Errorf("got %d, want all 6", len(got))
	}
	if got := Closest(target, live, -1); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	seen := map[identity.NodeID]int{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 700 {
		for _, id := range Random(r, live, 2, live[7].Peer) {
			seen[id]++
		}
	}
	if len(seen) != 6 || seen[live[2].Peer]+seen[live[7].Peer] > 0 {
		t.Errorf("got %v, want the 6 nodes that are not excluded", seen)
	}
	for id, n := range seen {
		if n < 150 || n > 320 {
			t.Errorf("got %s %d times of 1,400, want about 233", id, n)
		}
	}
}

// TestHealthMemory dials more peers than are remembered.
func TestHealthMemory(t *testing.T) {
	var h Health
	for i := range 3 * healthPeers {
		h.Failed(reapTime, identity.NodeID{byte(i >> 16), byte(i >> 8), byte(i)})
	}
	if h.Len() != healthPeers || len(h.all) > healthAttempts {
		t.Errorf("got %d peers and %d attempts remembered, want %d and %d", h.Len(), len(h.all), healthPeers, healthAttempts)
	}
}

// TestLongChoice keeps the best of many candidates, and all that are chosen.
func TestLongChoice(t *testing.T) {
	r := Request{At: reapTime, Missing: 12, Rate: 1}
	for i := range 1000 {
		c := Candidate{Peer: identity.NodeID{byte(i >> 8), byte(i)}, Group: "8.8.0.0/16", Draw: uint64(i)}
		if i >= 900 {
			c.Group = ""
		}
		r.Candidates = append(r.Candidates, c)
	}
	c := Choose(r)
	if got := len(c.Peers()); got != 30 || c.Considered != 1000 {
		t.Errorf("got %d chosen of %d, want 30 of 1000", got, c.Considered)
	}
	if len(c.Ranked) != mostRanked+26 {
		t.Errorf("got %d kept, want %d and the 26 chosen beyond", len(c.Ranked), mostRanked)
	}
	if again := Choose(c.Request()); !slices.Equal(again.Peers(), c.Peers()) {
		t.Errorf("got another choice from the record, want the same")
	}
}
