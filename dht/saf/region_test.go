package saf_test

import (
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestRegion: up to the n-th nearest node or the n-th nearest client, whichever is farther;
// everybody, while there are fewer than n of either.
//
// conforms: dht 92, 93
func TestRegion(t *testing.T) {
	self := identity.NodeID{0x80}
	at := func(distance byte) identity.NodeID { return identity.NodeID{0x80, distance} }
	peers := func(f identity.Features, distances ...byte) (list []dht.Candidate) {
		for _, d := range distances {
			list = append(list, dht.Candidate{ID: at(d), Features: f})
		}
		return list
	}
	nodes := func(d ...byte) []dht.Candidate { return peers(identity.FeatureNode, d...) }
	clients := func(d ...byte) []dht.Candidate { return peers(identity.FeatureNone, d...) }
	changed := func(list []dht.Candidate, change func(*dht.Candidate)) []dht.Candidate {
		for i := range list {
			change(&list[i])
		}
		return list
	}
	everybody := byte(255)
	for _, c := range []struct {
		name  string
		peers []dht.Candidate
		limit byte
	}{
		{"nobody known", nil, everybody},
		{"too few clients", nodes(1, 2, 3, 4, 5), everybody},
		{"too few nodes", slices.Concat(nodes(1, 2), clients(1, 2, 3)), everybody},
		{"nodes are farther", slices.Concat(nodes(9, 30, 20, 40), clients(7, 5, 6)), 30},
		{"clients are farther", slices.Concat(clients(9, 30, 20, 40), nodes(7, 5, 6)), 30},
		{"banned nodes", slices.Concat(nodes(9, 30, 20, 40), clients(7, 5, 6), changed(nodes(1, 2, 3), func(c *dht.Candidate) { c.Banned = true })), 30},
		{"offline clients", slices.Concat(nodes(9, 30, 20, 40), clients(7, 5, 6), changed(clients(1, 2, 3), func(c *dht.Candidate) { c.Offline = true })), 30},
		{"offline clients count as none", slices.Concat(nodes(9, 30, 20, 40), changed(clients(1, 2, 3), func(c *dht.Candidate) { c.Offline = true })), everybody},
		{"other features", slices.Concat(nodes(9, 30, 20, 40), clients(7, 5, 6), peers(identity.FeatureStoreForward, 1, 2, 3)), 30},
		{"ourselves", slices.Concat(nodes(9, 30, 20, 40), clients(7, 5, 6), nodes(0)), 30},
	} {
		r := saf.NewRegion(self, 3, slices.Values(c.peers))
		for _, d := range []byte{0, 1, 29, 30, 31, 255} {
			if got, want := r.Has(at(d)), d <= c.limit; got != want {
				t.Errorf("%s: got %v at distance %d, want %v", c.name, got, d, want)
			}
		}
		if got, want := r.Has(identity.NodeID{}), c.limit == everybody; got != want || r.Everybody() != want {
			t.Errorf("%s: got %v for the farthest id, want %v", c.name, got, want)
		}
	}
	if r := (saf.Region{}); !r.Has(identity.NodeID{}) || r.Has(self) {
		t.Error("the zero region has other ids than its own")
	}
}
