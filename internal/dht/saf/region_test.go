package saf_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// around returns peers at these distances from {0x80}, in 256ths of the greatest one.
func around(client bool, source func(int) share.Source, distances ...byte) (list []saf.Neighbour) {
	for i, d := range distances {
		list = append(list, saf.Neighbour{ID: identity.NodeID{0x80 ^ d}, Client: client, Source: source(i)})
	}
	return list
}

func dialled(int) share.Source { return share.None }

// crowd returns 4,000 far nodes, so many that the density of nodes bounds no region.
func crowd() (list []saf.Neighbour) {
	for i := range 4_000 {
		id := identity.NodeID{0x80 ^ byte(200+i%50)}
		binary.BigEndian.PutUint16(id[1:], uint16(i))
		list = append(list, saf.Neighbour{ID: id})
	}
	return list
}

// TestRegion: up to the n-th nearest node or the n-th nearest client, whichever is farther;
// everybody, while there are fewer than n of either.
//
// conforms: dht 92, 93
func TestRegion(t *testing.T) {
	self := identity.NodeID{0x80}
	at := func(distance byte) identity.NodeID { return identity.NodeID{0x80 ^ distance} }
	nodes := func(d ...byte) []saf.Neighbour { return around(false, dialled, d...) }
	clients := func(d ...byte) []saf.Neighbour { return around(true, dialled, d...) }
	everybody := byte(255)
	for _, c := range []struct {
		name  string
		peers []saf.Neighbour
		limit byte
		bound saf.Bound
	}{
		{"nobody known", nil, everybody, saf.NoBound},
		{"too few clients", slices.Concat(crowd(), nodes(1, 2, 3, 4, 5)), everybody, saf.NoBound},
		{"too few nodes", slices.Concat(nodes(1, 2), clients(1, 2, 3)), everybody, saf.NoBound},
		{"nodes are farther", slices.Concat(crowd(), nodes(9, 30, 20, 40), clients(7, 5, 6)), 30, saf.ByNodes},
		{"clients are farther", slices.Concat(crowd(), clients(9, 30, 20, 40), nodes(7, 5, 6)), 30, saf.ByClients},
		{"ourselves", slices.Concat(crowd(), nodes(9, 30, 20, 40), clients(7, 5, 6), nodes(0)), 30, saf.ByNodes},
	} {
		r := saf.NewRegion(self, 3, slices.Values(c.peers))
		for _, d := range []byte{0, 1, 29, 30, 31, 255} {
			if got, want := r.Has(at(d)), d <= c.limit; got != want {
				t.Errorf("%s: got %v at distance %d, want %v", c.name, got, d, want)
			}
		}
		if s := r.Stats(); r.Everybody() != (c.limit == everybody) || s.Bound != c.bound {
			t.Errorf("%s: got %+v, want %v", c.name, s, c.bound)
		}
	}
	if r := (saf.Region{}); !r.Has(identity.NodeID{}) || r.Has(self) {
		t.Error("the zero region has other ids than its own")
	}
}

// TestRegionOfSources: of the peers of a source two count, of a subnet eight, and of all exempt
// ones thirty-two.
//
// conforms: V 38, 39
func TestRegionOfSources(t *testing.T) {
	self, far := identity.NodeID{0x80}, identity.NodeID{0x80 ^ 30}
	ip := func(i int, last func(int) byte) share.Source {
		return share.Of(netip.AddrFrom4([4]byte{192, 0, 2, last(i)}))
	}
	for _, c := range []struct {
		name   string
		n      int
		near   int // peers that somebody has chosen, of the source
		source func(int) share.Source
		has    bool
	}{
		{"one address", 3, 200, func(i int) share.Source { return ip(i, func(int) byte { return 1 }) }, true},
		{"a subnet", 9, 200, func(i int) share.Source { return ip(i, func(i int) byte { return byte(i) }) }, true},
		{"a subnet, fewer wanted", 8, 200, func(i int) share.Source { return ip(i, func(i int) byte { return byte(i) }) }, false},
		{"exempt", 33, 200, func(int) share.Source { return share.Exempt }, true},
		{"exempt, fewer wanted", 32, 200, func(int) share.Source { return share.Exempt }, false},
	} {
		var near []byte
		for i := range c.near {
			near = append(near, byte(i%20+1))
		}
		honest := slices.Repeat([]byte{30}, c.n)
		for _, peers := range [][]saf.Neighbour{
			slices.Concat(crowd(), crowd(), crowd(), around(false, c.source, near...), around(false, dialled, honest...), around(true, dialled, near...)),
			slices.Concat(crowd(), crowd(), crowd(), around(true, c.source, near...), around(true, dialled, honest...), around(false, dialled, near...)),
		} {
			if got := saf.NewRegion(self, c.n, slices.Values(peers)).Has(far); got != c.has {
				t.Errorf("%s: got %v, want %v", c.name, got, c.has)
			}
		}
	}
}

// TestRegionIsNeverSmall: however near the peers are that somebody has chosen, the region has as
// many nodes as it should where the density of the nodes is that of the nearer half, or even.
//
// conforms: V 38
func TestRegionIsNeverSmall(t *testing.T) {
	self := identity.NodeID{0x80}
	chosen := make([]byte, 40) // all at distance 0
	for i := range chosen {
		chosen[i] = 1
	}
	var honest []byte
	for d := byte(2); d < 250; d += 2 {
		honest = append(honest, d)
	}
	for _, c := range []struct {
		name     string
		nodes    []byte
		in, out  byte
		boundary saf.Bound
	}{
		{"40 chosen of 164", slices.Concat(chosen, honest), 10, 40, saf.ByDensity},
		{"40 chosen, and a few", slices.Concat(chosen, honest[:8]), 40, 60, saf.ByDensity},
		{"half of them far", []byte{100, 110, 120, 130, 140, 150, 160, 170, 180}, 200, 255, saf.ByDensity},
	} {
		r := saf.NewRegion(self, 8, slices.Values(slices.Concat(around(false, dialled, c.nodes...), around(true, dialled, chosen...))))
		if s := r.Stats(); !r.Has(identity.NodeID{0x80 ^ c.in}) || r.Has(identity.NodeID{0x80 ^ c.out}) || s.Bound != c.boundary || s.Nodes != len(c.nodes) {
			t.Errorf("%s: got %v, want distance %d in it and %d not", c.name, s, c.in, c.out)
		}
	}
}

func TestRegionInWords(t *testing.T) {
	for want, s := range map[string]saf.RegionStats{
		"everybody, as few peers are known: nodes reached 3, clients met 0": {Part: 1, Nodes: 3},
		"1.5% of all ids, by the nearest clients":                           {Part: 0.015, Bound: saf.ByClients, Nodes: 30, Clients: 9},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
