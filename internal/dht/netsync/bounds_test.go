package netsync

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

func numbered(n int) identity.NodeID {
	return identity.NodeID{byte(n >> 16), byte(n >> 8), byte(n), 1}
}

// TestRecentIsBounded remembers more peers than a Recent has room for: it forgets those
// whose time is over, and then the one whose time is over first.
func TestRecentIsBounded(t *testing.T) {
	var r Recent
	now := time.Unix(1000, 0)
	for n := range maxRecent {
		r.Add(now, numbered(n), now.Add(time.Duration(n+1)*time.Second))
	}
	r.Add(now, numbered(maxRecent), now.Add(time.Hour*24))
	if r.Len() != maxRecent || r.Has(now, numbered(0)) || !r.Has(now, numbered(1)) || !r.Has(now, numbered(maxRecent)) {
		t.Errorf("got %d peers, the first %v, the second %v and the last %v; want %d and only the first forgotten",
			r.Len(), r.Has(now, numbered(0)), r.Has(now, numbered(1)), r.Has(now, numbered(maxRecent)), maxRecent)
	}
	now = now.Add(time.Hour)
	r.Add(now, numbered(maxRecent+1), now.Add(time.Hour))
	if got, want := r.Len(), maxRecent-3600+2; got != want {
		t.Errorf("got %d peers after an hour, want %d: the others' time is over", got, want)
	}
}

// TestConnectedNodesAreBounded has more nodes connect than can wait to be asked. At most
// five are asked at once, and 256 wait.
func TestConnectedNodesAreBounded(t *testing.T) {
	s := newScript()
	s.known, s.usable = 50, []identity.NodeID{{'A'}}
	r := NewRounds(Options{}, s)
	r.Step(s.now, Online{})
	r.Step(s.now, Synced{Peer: identity.NodeID{'A'}})
	syncs := 0
	for n := range 10_000 {
		s.connected[numbered(n)] = true
		for _, f := range r.Step(s.now, Connected{Peer: numbered(n), Node: true}) {
			if _, ok := f.(Sync); ok {
				syncs++
			}
		}
	}
	if syncs != 5 || len(r.queue) != maxQueue {
		t.Errorf("got %d syncs and %d waiting, want 5 and %d", syncs, len(r.queue), maxQueue)
	}
	for range 5 { // all fail, and their turns go on
		for peer := range r.syncing {
			r.Step(s.now, Synced{For: ForConnect, Peer: peer, Err: ErrTimeLimit})
			break
		}
	}
	if len(r.syncing) != 5 || len(r.queue) != maxQueue-5 || len(r.retry) != 5 {
		t.Errorf("got %d syncs, %d waiting and %d to be tried again, want 5, %d and 5", len(r.syncing), len(r.queue), len(r.retry), maxQueue-5)
	}
}

// TestCooldown lets starved nodes recover again and again: the pauses are 10 minutes,
// doubling up to two hours, each a quarter more or less, and not the same for all.
//
// conforms: V 27
func TestCooldown(t *testing.T) {
	first := make(map[time.Duration]bool)
	for seed := range uint64(50) {
		s := starvation{random: rand.New(rand.NewPCG(seed, 0))}
		now := time.Unix(1000, 0)
		for _, want := range []time.Duration{10, 20, 40, 80, 120, 120} {
			want *= time.Minute
			s.recovering(now)
			got := s.free.Sub(now)
			if got < want*3/4 || got > want*5/4 {
				t.Fatalf("got a pause of %v, want %v and a quarter more or less", got, want)
			}
			if want == coolFirst {
				first[got] = true
			}
			now = s.free
		}
	}
	if len(first) < 25 {
		t.Errorf("got %d different first pauses of 50 nodes, want most of them different", len(first))
	}
}

// TestHangUp hangs up seeds, but only those that the node has dialled and does not need,
// and only while enough connections are left.
//
// conforms: V 27
func TestHangUp(t *testing.T) {
	now := time.Unix(10_000, 0)
	link := func(name string, seed, outbound, needed bool) Link {
		return Link{Peer: peer(name), Own: seed, Seed: seed, Outbound: outbound, Needed: needed, Since: now.Add(-10 * time.Minute)}
	}
	links := []Link{
		link("A", true, true, false),
		link("B", true, true, true),
		link("C", true, false, false),
		link("D", false, true, false),
		link("E", true, true, false),
	}
	tests := []struct {
		name            string
		floor, outbound int
		busy            bool
		since           time.Duration
		want            string
	}{
		{"two are left over", 3, 2, false, 0, "AE"},
		{"one is left over", 4, 0, false, 0, "A"},
		{"one more must be outbound", 0, 3, false, 0, "A"},
		{"all must be outbound", 0, 4, false, 0, ""},
		{"all keep the floor", 5, 0, false, 0, ""},
		{"no floor", 0, 0, false, 0, "AE"},
		{"seeds are being asked", 0, 0, true, 0, ""},
		{"seeds are being asked, after 15 minutes", 0, 0, true, 5 * time.Minute, "AE"},
	}
	for _, tt := range tests {
		var got string
		least := Least{Floor: tt.floor, Wanted: 100, Outbound: tt.outbound}
		for _, id := range HangUp(now.Add(tt.since), links, least, tt.busy) {
			got += name(id)
		}
		if got != tt.want {
			t.Errorf("%s: got %q hung up, want %q", tt.name, got, tt.want)
		}
	}
}

// TestHangUpUnused hangs up nodes that are of no use, the oldest connection first, and a seed
// before them.
func TestHangUpUnused(t *testing.T) {
	begin := time.Unix(10_000, 0)
	link := func(name string, since time.Duration, change func(*Link)) Link {
		l := Link{Peer: peer(name), Own: true, Outbound: true, Since: begin.Add(since)}
		change(&l)
		return l
	}
	links := []Link{
		link("A", time.Second, func(*Link) {}),
		link("B", 0, func(*Link) {}),
		link("C", 0, func(l *Link) { l.Asking = true }),
		link("D", 0, func(l *Link) { l.Used = begin.Add(time.Second) }),
		link("E", 0, func(l *Link) { l.Needed = true }),
		link("F", 0, func(l *Link) { l.Outbound = false }),
		link("G", 0, func(l *Link) { l.Own = false }),
		link("H", time.Second, func(l *Link) { l.Seed = true }),
	}
	tests := []struct {
		name  string
		at    time.Duration
		least Least
		busy  bool
		want  string
	}{
		{"too soon", UnusedAfter - 1, Least{}, true, ""},
		{"never used", UnusedAfter, Least{}, true, "B"},
		{"a seed first", UnusedAfter + time.Second, Least{}, false, "HBA"},
		{"one is left over", UnusedAfter + time.Second, Least{Wanted: 7}, false, "H"},
		{"the floor", UnusedAfter + time.Second, Least{Floor: 6, Wanted: 1}, false, "HB"},
		{"as many as are wanted", UnusedAfter + time.Second, Least{Wanted: 8}, true, ""},
		{"starved", UnusedAfter + time.Second, Least{Outbound: 6}, true, "B"},
		{"not used any more", UsedFor + time.Second, Least{}, true, "BDA"},
	}
	for _, tt := range tests {
		var got string
		for _, id := range HangUp(begin.Add(tt.at), links, tt.least, tt.busy) {
			got += name(id)
		}
		if got != tt.want {
			t.Errorf("%s: got %q hung up, want %q", tt.name, got, tt.want)
		}
	}
}
