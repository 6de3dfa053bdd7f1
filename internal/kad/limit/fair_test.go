package limit

import (
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

const victim overlay.Address = "/ip4/93.184.216.34/udp/9"

var start = time.Unix(1_800_000_000, 0)

// entries is how many addresses are remembered in these tests, and most how many come.
const entries, most = 4096, 4200

// many calls f for n addresses in groups of per, from 8.0.0.0 on.
func many(n, per int, f func(overlay.Address)) {
	for i := range n {
		group := i / per
		f(overlay.Address(fmt.Sprintf("/ip4/8.%d.%d.1/udp/%d", group>>8, group&0xff, 1+i)))
	}
}

// TestProofsMakeWayFairly proves more addresses than are remembered, after those of two silent
// nodes of one network, of which one has stored a record. Many addresses of few networks push
// out each other. Addresses of a network each push out those that were of no use so far.
func TestProofsMakeWayFairly(t *testing.T) {
	const stored, silent overlay.Address = "/ip4/93.184.216.34/udp/9", "/ip4/93.184.216.35/udp/9"
	for _, c := range []struct {
		name         string
		per          int
		useful       bool
		stored, both bool
	}{
		{"one network", most, false, true, true},
		{"one network that stores", most, true, true, true},
		{"many networks", 67, false, true, true},
		{"many networks that store", 67, true, true, true},
		{"a network each", 1, false, true, false},
	} {
		p := newProofs(entries)
		p.Prove(silent, overlay.ID{2}, start)
		p.Prove(stored, overlay.ID{1}, start)
		p.Useful(stored)
		many(most, c.per, func(a overlay.Address) {
			p.Prove(a, overlay.ID{3}, start)
			if c.useful {
				p.Useful(a)
			}
		})
		if got := p.Proven(stored, overlay.ID{1}, start); got != c.stored {
			t.Errorf("%s: got the proof of a node that has stored kept %t, want %t", c.name, got, c.stored)
		}
		if got := p.Proven(silent, overlay.ID{2}, start); got != c.both {
			t.Errorf("%s: got the proof of a silent node kept %t, want %t", c.name, got, c.both)
		}
		if n, _ := p.Remembered(); n != entries {
			t.Errorf("%s: got %d proofs, want %d", c.name, n, entries)
		}
	}
}

// TestMet remembers first times, of as many addresses as the proofs.
func TestMet(t *testing.T) {
	m := newFirstSeen(entries)
	if got := m.Note(victim, start); !got.Equal(start) {
		t.Errorf("got %v, want %v", got, start)
	}
	if got := m.Note(victim, start.Add(time.Hour)); !got.Equal(start) {
		t.Errorf("an hour later: got %v, want %v", got, start)
	}
	many(most, 70, func(a overlay.Address) { m.Note(a, start) })
	if got := m.Remembered(); got != entries {
		t.Errorf("got %d addresses remembered, want %d", got, entries)
	}
	if got := m.Note(victim, start.Add(2*time.Hour)); !got.Equal(start) {
		t.Errorf("after many of few networks: got %v, want %v", got, start)
	}
	many(most, 1, func(a overlay.Address) { m.Note(a, start) })
	if got := m.Note(victim, start.Add(2*time.Hour)); !got.Equal(start.Add(2 * time.Hour)) {
		t.Errorf("forgotten: got %v, want it seen for the first time again", got)
	}
}

// TestInventedAddresses fill the memory of addresses without proof, and take none of the
// proofs away.
func TestInventedAddresses(t *testing.T) {
	p := newProofs(entries)
	p.Prove(victim, overlay.ID{1}, start)
	for i := range 2 * entries {
		p.Received(overlay.Address(fmt.Sprint(i)), 60, start)
	}
	if proven, unproven := p.Remembered(); proven != 1 || unproven != entries {
		t.Errorf("got %d with and %d without proof, want 1 and %d", proven, unproven, entries)
	}
	if !p.Proven(victim, overlay.ID{1}, start) {
		t.Error("got the proof forgotten")
	}
	for i := range 2 * entries {
		p.Prove(overlay.Address(fmt.Sprint(i)), overlay.ID{1}, start)
		p.Received(victim, 60, start)
	}
	if proven, _ := p.Remembered(); proven != entries || !p.Reached(victim, start) {
		t.Errorf("got %d proofs, with that of the busy address %t; want %d", proven, p.Reached(victim, start), entries)
	}
}
