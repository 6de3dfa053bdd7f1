package connpool

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func from(ip string) From {
	a := netip.MustParseAddr(ip)
	source, _ := a.Prefix(32)
	subnet, _ := a.Prefix(24)
	return From{source, subnet, source}
}

// gateScript drives a gate in virtual time. Set-ups have the names of the test.
type gateScript struct {
	*Gate
	t   *testing.T
	now time.Time
	ids map[string]uint64
}

func newGateScript(t *testing.T, l GateLimits) *gateScript {
	return &gateScript{Gate: NewGate(l), t: t, now: reapTime, ids: make(map[string]uint64)}
}

// enters lets a set-up in and returns its id; want is the limit that refuses it.
func (g *gateScript) enters(f From, want string) uint64 {
	g.t.Helper()
	id, _ := g.enter(f, want)
	return id
}

func (g *gateScript) enter(f From, want string) (id, gone uint64) {
	g.t.Helper()
	id, gone, err := g.Enter(g.now, f)
	got := ""
	if err != nil {
		limit, ok := errors.AsType[*protocol.LimitError](err)
		if !ok || !errors.Is(err, protocol.ErrLimit) || !strings.Contains(err.Error(), fmt.Sprint(limit.Limit)) {
			g.t.Fatalf("got %v, want a limit", err)
		}
		got = limit.Name
	}
	if got != want || (err != nil) != (id == 0) {
		g.t.Errorf("%v: got %q and id %d, want %q", f.Source, got, id, want)
	}
	return id, gone
}

// named lets a set-up in that has a name, and wants another one to give way, or
// none if that is empty.
func (g *gateScript) named(name string, f From, gone string) {
	g.t.Helper()
	id, out := g.enter(f, "")
	g.ids[name] = id
	if out != g.ids[gone] {
		got := "nobody"
		for n, i := range g.ids {
			if i == out {
				got = n
			}
		}
		g.t.Errorf("%s enters: %s gives way, want %q", name, got, gone)
	}
}

func (g *gateScript) reaches(name string, to Stage) {
	g.t.Helper()
	if !g.Advance(g.now, g.ids[name], to) {
		g.t.Errorf("%s has left", name)
	}
}

func (g *gateScript) passes(d time.Duration) { g.now = g.now.Add(d) }

// TestGate fills every limit of a gate.
//
// conforms: comms 111; V 8
func TestGate(t *testing.T) {
	t.Run("defaults", func(t *testing.T) {
		g := newGateScript(t, GateLimits{})
		for range 4 {
			g.enters(from("8.8.8.8"), "")
		}
		g.enters(from("8.8.8.8"), "MaxSetupsPerSource")
		for i := range 12 {
			g.enters(from(fmt.Sprintf("8.8.8.%d", 100+i)), "")
		}
		g.enters(from("8.8.8.9"), "MaxSetupsPerSubnet")
		var last uint64
		for i := range 84 {
			last = g.enters(from(fmt.Sprintf("8.%d.8.9", 10+i)), "")
		}
		g.enters(From{}, "MaxSetups")
		g.Leave(last)
		g.Leave(last) // once more is nothing
		g.enters(From{}, "")
		g.enters(From{}, "MaxSetups")
		if s := g.Stats(); s.Setups != 100 || s.MaxSetups != 100 || s.Refused != 4 || s.Preempted != 0 {
			t.Errorf("got %+v, want 100 set-ups and 4 refused", s)
		} else if want := map[string]uint64{"connections.max_setups_per_source": 1, "connections.max_setups_per_subnet": 1, "connections.max_setups": 2}; !maps.Equal(s.RefusedBy, want) {
			t.Errorf("got %v refused by their limits, want %v", s.RefusedBy, want)
		}
	})
	t.Run("rate", func(t *testing.T) {
		g := newGateScript(t, GateLimits{SetupRate: 60})
		setups := func(f From, n int) {
			t.Helper()
			for range n {
				g.Leave(g.enters(f, ""))
			}
		}
		setups(from("8.8.8.8"), 60)
		g.enters(from("8.8.8.8"), "MaxSetupRatePerSource")
		setups(from("8.8.8.9"), 60)
		g.passes(3 * time.Second)
		setups(from("8.8.8.8"), 3)
		g.enters(from("8.8.8.8"), "MaxSetupRatePerSource")
		for i := range 2 { // of the subnet 240 may begin, and 12 more by now
			setups(from(fmt.Sprintf("8.8.8.%d", 20+i)), 60)
		}
		setups(from("8.8.8.30"), 9)
		g.enters(from("8.8.8.30"), "MaxSetupRatePerSource")
		setups(from("8.8.9.30"), 60)
		setups(From{}, 1000) // exempt
		if s := g.Stats(); s.Refused != 3 || s.TooFast != 3 || s.MaxSetupRate != 60 {
			t.Errorf("got %+v, want 3 refused, all of them for the rate", s)
		}
		g.passes(time.Minute)
		setups(from("8.8.8.8"), 60)
		g.enters(from("8.8.8.8"), "MaxSetupRatePerSource")
	})
	t.Run("newcomers", func(t *testing.T) {
		g := newGateScript(t, GateLimits{})
		for range 50 {
			if wait := g.Newcomer(g.now, g.enters(From{}, "")); wait != 0 {
				t.Errorf("got a wait of %v for the first ones", wait)
			}
		}
		if wait := g.Newcomer(g.now, g.enters(from("8.8.8.8"), "")); wait != 0 {
			t.Errorf("got a wait of %v for one that is not exempt", wait)
		}
		for range 50 {
			id := g.enters(From{Origin: netip.MustParsePrefix("127.0.0.0/8")}, "")
			g.Newcomer(g.now, id)
			g.Leave(id)
		}
		for i := range 49 {
			id := g.enters(From{Origin: netip.MustParsePrefix("127.0.0.0/8")}, "")
			if wait, want := g.Newcomer(g.now, id), time.Duration(i+1)*5*time.Millisecond; wait != want {
				t.Errorf("got a wait of %v, want %v", wait, want)
			}
			if wait := g.Newcomer(g.now, id+1000); wait != 0 {
				t.Errorf("got a wait of %v for one that has left", wait)
			}
		}
		if s := g.Stats(); s.Setups != 100 || s.Waited != 49 {
			t.Errorf("got %+v, want 100 set-ups, of which 49 had to wait", s)
		}
		g.passes(time.Second)
		id := g.enters(From{}, "")
		for range 10_000 {
			if wait := g.Newcomer(g.now, id); wait > 2*time.Second {
				t.Fatalf("got a wait of %v, want 2s at most", wait)
			}
		}
	})
	t.Run("connections", func(t *testing.T) {
		g := newGateScript(t, GateLimits{})
		connect := func(f From, n int) {
			t.Helper()
			for range n {
				if _, err := g.Establish(g.enters(f, ""), false); err != nil {
					t.Fatal(err)
				}
			}
		}
		connect(from("8.8.8.8"), 32)
		g.enters(from("8.8.8.8"), "MaxInboundPerSource")
		for i := range 3 {
			connect(from(fmt.Sprintf("8.8.8.%d", i)), 32)
		}
		g.enters(from("8.8.8.99"), "MaxInboundPerSubnet")
		connect(From{}, 500-128)
		over := g.enters(From{}, "") // it may take the place of another one
		if _, err := g.Establish(over, false); !errors.Is(err, protocol.ErrLimit) {
			t.Errorf("got %v, want %v", err, protocol.ErrLimit)
		}
		g.End(from("8.8.8.8"))
		source := g.enters(from("8.8.8.8"), "")
		if s := g.Stats(); s.Setups != 2 || s.Conns != 499 {
			t.Errorf("got %d set-ups and %d connections, want 2 and 499", s.Setups, s.Conns)
		}
		if f, err := g.Establish(source, false); err != nil || f != from("8.8.8.8") {
			t.Errorf("got %v, %v", f, err)
		}
		if _, err := g.Establish(over, true); err != nil { // another one ends for it
			t.Error(err)
		}
		if s := g.Stats(); s.Setups != 0 || s.Conns != 501 || s.Replaced != 1 {
			t.Errorf("got %+v, want one connection instead of another", s)
		}
	})
	t.Run("memory", func(t *testing.T) {
		g := newGateScript(t, GateLimits{})
		for i := range 10_000 {
			g.Leave(g.enters(from(fmt.Sprintf("9.%d.%d.1", i/250, i%250)), ""))
		}
		if len(g.where)+len(g.setups)+len(g.origins) != 0 {
			t.Errorf("got %d networks remembered, want none", len(g.where))
		}
	})
}

// TestGateGivesWay fills the places for set-ups: the one that goes is of the
// source that has most of them, the least advanced, then the oldest.
//
// conforms: V 8
func TestGateGivesWay(t *testing.T) {
	flood, other := from("8.8.8.8"), from("9.9.9.9")
	g := newGateScript(t, GateLimits{Setups: 4})
	g.named("far", other, "")
	g.passes(time.Second)
	g.named("heard", flood, "")
	g.reaches("heard", StageHeard)
	g.named("old", flood, "")
	g.passes(time.Millisecond)
	g.named("young", flood, "")
	g.passes(SetupGrace - time.Millisecond)
	g.enters(other, "MaxSetups") // none of the flood's is older than 250 ms; the other's one is not touched
	g.passes(time.Millisecond)
	g.named("new", other, "old")
	g.passes(time.Second) // two of each now: whoever comes again replaces its own
	g.reaches("young", StageHeard)
	g.named("newer", other, "far")            // the oldest of two that have said nothing
	g.named("newest", from("7.7.7.7"), "new") // the least advanced of both sources, then the oldest
	g.reaches("young", StageMessage2)
	g.reaches("heard", StageProved)
	g.enters(from("6.6.6.6"), "MaxSetups") // of the flood, which has most, none is before message 2
	g.passes(SetupStands)
	g.enters(from("6.6.6.6"), "MaxSetups")
	g.passes(time.Millisecond)
	g.named("last", from("6.6.6.6"), "young") // stood still after message 2
	if s := g.Stats(); s.Preempted != 4 || s.Refused != 3 || s.Setups != 4 {
		t.Errorf("got %+v, want 4 that gave way, 3 refused, and 4 set-ups", s)
	}
}

// TestGateOfManySources has 28 sources in 7 networks come again whenever one of
// theirs is closed, more often than places are given up: a newcomer finds one.
//
// conforms: V 8
func TestGateOfManySources(t *testing.T) {
	g := newGateScript(t, GateLimits{})
	var waiting []From
	for i := range 4 * 28 {
		f := from(fmt.Sprintf("8.8.%d.%d", i%7, i%28))
		if _, _, err := g.Enter(g.now, f); err != nil {
			waiting = append(waiting, f)
		}
	}
	for i := range 1000 {
		g.passes(5 * time.Millisecond)
		for _, f := range waiting {
			g.Enter(g.now, f) // the one that gives way, if one does, is of the same source, and comes again
		}
		if i < 100 || i%10 > 0 {
			continue
		}
		before := maps.Clone(g.setups)
		id, gone := g.enter(from("9.9.9.9"), "")
		if gone == 0 {
			t.Fatal("nobody has given way")
		}
		g.Leave(id) // it is set up, and one of those that wait takes its place
		next := waiting[0]
		waiting = append(waiting[1:], before[gone].from)
		g.enters(next, "")
	}
}

// TestGateExempt has set-ups of one exempt source take every place: they are
// counted together when one has to give way.
//
// conforms: V 8
func TestGateExempt(t *testing.T) {
	g := newGateScript(t, GateLimits{})
	tor := From{Origin: netip.MustParsePrefix("127.0.0.0/8")}
	first := g.enters(tor, "")
	g.passes(time.Millisecond)
	for range 80 {
		g.enters(tor, "")
	}
	for i := range 19 {
		g.enters(from(fmt.Sprintf("8.%d.8.8", i)), "")
	}
	g.passes(time.Second)
	if _, gone := g.enter(tor, ""); gone != first {
		t.Errorf("set-up %d gives way, want the oldest of the exempt source, %d", gone, first)
	}
	for range 80 { // and all of them, one for each that enters
		if _, gone := g.enter(from("9.9.9.9"), ""); gone == 0 {
			t.Fatal("nobody gives way")
		} else if g.origins[tor.Origin] == 0 {
			t.Fatal("the wrong one gave way")
		}
		g.Leave(g.last)
		g.enters(tor, "")
	}
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
	live[49].KeptOpen, live[48].Streams, live[47].Streams, live[3].Stalled = true, 3, 2, true
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
	live[7].KeptOpen = true
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
		c := protocol.DialCandidate{Peer: identity.NodeID{byte(i >> 8), byte(i)}, Group: "8.8.0.0/16", Draw: uint64(i)}
		if i >= 900 {
			c.Group = ""
		}
		r.Candidates = append(r.Candidates, c)
	}
	c := Choose(r)
	if got := len(Chosen(c)); got != 30 || c.Considered != 1000 {
		t.Errorf("got %d chosen of %d, want 30 of 1000", got, c.Considered)
	}
	if len(c.Ranked) != mostRanked+26 {
		t.Errorf("got %d kept, want %d and the 26 chosen beyond", len(c.Ranked), mostRanked)
	}
	if again := Choose(RequestOf(c)); !slices.Equal(Chosen(again), Chosen(c)) {
		t.Errorf("got another choice from the record, want the same")
	}
}
