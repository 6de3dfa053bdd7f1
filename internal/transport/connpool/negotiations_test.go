package connpool

import (
	"net/netip"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// TestNegotiations has keys of one source open more substreams than there may be: their oldest make
// way, and those of somebody else stay.
//
// conforms: V 39
func TestNegotiations(t *testing.T) {
	of := func(ip string, key byte) share.Holder[identity.NodeID] {
		return share.Holder[identity.NodeID]{Source: share.Of(netip.MustParseAddr(ip)), Key: identity.NodeID{key}}
	}
	honest := of("9.9.9.9", 1)
	var x Negotiations[int]
	for i := range 5 {
		if _, ok := x.Begin(honest, -i); ok {
			t.Fatal("got one that makes way, want room")
		}
	}
	const keys, more = 7, 300
	begun := make(map[int]share.Holder[identity.NodeID])
	for i := range MaxNegotiations + more {
		h := of("6.6.6.6", byte(i%keys))
		begun[i] = h
		if way, ok := x.Begin(h, i); ok {
			if way < 0 {
				t.Errorf("substream %d: got %d to make way, of somebody who has few", i, way)
			}
			delete(begun, way)
		}
	}
	if x.n != MaxNegotiations || len(begun) != MaxNegotiations-5 {
		t.Errorf("got %d counted, of which %d of one source", x.n, len(begun))
	}
	for i := range more / 2 {
		if _, ok := begun[i]; ok {
			t.Errorf("substream %d is one of the oldest: got it kept", i)
		}
	}
	for i, h := range begun {
		x.End(h, i)
		x.End(h, i) // again: nothing
	}
	for i := range 5 {
		x.End(honest, -i)
	}
	if x.n != 0 || len(x.of) != 0 {
		t.Errorf("got %d counted at the end, of %d holders", x.n, len(x.of))
	}
}

func BenchmarkNegotiations(b *testing.B) {
	h := share.Holder[identity.NodeID]{Source: share.Of(netip.MustParseAddr("9.9.9.9")), Key: identity.NodeID{1}}
	var x Negotiations[int]
	b.ReportAllocs()
	for b.Loop() {
		x.Begin(h, 1)
		x.End(h, 1)
	}
}
