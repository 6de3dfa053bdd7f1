package saf_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// TestVisits: a peer counts while it is connected and for 60 h after, across a restart, too.
//
// conforms: V 38
func TestVisits(t *testing.T) {
	x, now := saf.NewVisits(100), begin
	x.Connected(now, saf.Visit{Peer: identity.NodeID{1}, Source: share.Exempt, Client: true})
	x.Connected(now, saf.Visit{Peer: identity.NodeID{2}, Dialled: true})
	now = now.Add(share.LastAfter)
	x.Disconnected(now, identity.NodeID{1})
	x.Disconnected(now, identity.NodeID{3}) // nobody
	set, gone := x.Changes()
	if len(set) != 2 || len(gone) != 0 || x.Changed() {
		t.Errorf("got %v and %v to write, want two", set, gone)
	}
	again := saf.NewVisits(100)
	for _, v := range set {
		again.Load(now, v)
	}
	if again.Changed() {
		t.Error("got changes after the load")
	}
	for _, x := range []*saf.Visits{x, again} {
		if v, ok := x.Lately(now.Add(saf.VisitAge), identity.NodeID{1}); !ok || !v.Served || !v.Client || v.Dialled || v.Source != share.Exempt || !v.At.Equal(now) {
			t.Errorf("after 60 h: got %+v, %v", v, ok)
		}
		if _, ok := x.Lately(now.Add(saf.VisitAge+1), identity.NodeID{1}); ok {
			t.Error("got somebody later than that")
		}
	}
	if _, ok := again.Lately(begin.Add(saf.VisitAge+1), identity.NodeID{2}); ok {
		t.Error("got somebody who was connected when the node ended long ago")
	}
	now = now.Add(2 * saf.VisitAge)
	if list := x.All(now); len(list) != 1 || list[0].Peer != (identity.NodeID{2}) || !list[0].Dialled {
		t.Errorf("got %+v, want who is still connected", list)
	}
	x.Review(now)
	set, gone = x.Changes()
	if len(set) != 1 || !set[0].At.Equal(now) || len(gone) != 1 || x.Len() != 1 {
		t.Errorf("got %v and %v to write after a review, want one each", set, gone)
	}
	x.Load(now, saf.Visit{Peer: identity.NodeID{4}, At: now.Add(time.Hour)})
	if v, _ := x.Lately(now, identity.NodeID{4}); !v.At.Equal(now) {
		t.Errorf("got %v, want a time of the future to be now", v.At)
	}
}

// TestVisitsAreShared: many keys of one address push out themselves, and those last that this
// node has dialled or served for an hour.
//
// conforms: V 39
func TestVisitsAreShared(t *testing.T) {
	x, now := saf.NewVisits(10), begin
	from := func(a byte) share.Source { return share.Of(netip.AddrFrom4([4]byte{a, 0, 0, 1})) }
	x.Connected(now, saf.Visit{Peer: identity.NodeID{1}, Source: from(1)})
	x.Connected(now, saf.Visit{Peer: identity.NodeID{2}, Source: from(6)}) // served
	x.Connected(now, saf.Visit{Peer: identity.NodeID{3}, Source: from(6), Dialled: true})
	now = now.Add(share.LastAfter)
	x.Disconnected(now, identity.NodeID{1})
	x.Connected(now, saf.Visit{Peer: identity.NodeID{4}, Source: from(2)})
	for i := range byte(100) {
		x.Connected(now, saf.Visit{Peer: identity.NodeID{100 + i}, Source: from(6)})
		x.Disconnected(now, identity.NodeID{100 + i})
	}
	for i := range byte(4) {
		if _, ok := x.Lately(now, identity.NodeID{1 + i}); !ok {
			t.Errorf("got %d forgotten for others", 1+i)
		}
	}
	if x.Len() != 10 {
		t.Errorf("got %d remembered, want 10", x.Len())
	}
	set, gone := x.Changes()
	if len(set) != 10 || len(gone) != 94 {
		t.Errorf("got %d and %d to write", len(set), len(gone))
	}
}
