package share_test

import (
	"net/netip"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/share"
)

func TestPlaces(t *testing.T) {
	a, b := share.Of(netip.MustParseAddr("198.51.100.1")), share.Of(netip.MustParseAddr("192.0.2.1"))
	p := share.Places{OfConn: 2, OfSource: 3, All: 5}
	take := func(what string, conn uint64, from share.Source, want bool) {
		t.Helper()
		if got := p.Take(conn, from); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	take("the first", 1, a, true)
	take("the second", 1, a, true)
	take("a third of a connection", 1, a, false)
	take("another connection of the source", 2, a, true)
	take("a fourth of the source", 3, a, false)
	take("another source", 4, b, true)
	p.Free(1, a)
	take("one in the place of another", 3, a, true)
	take("the last", 5, share.None, true)
	take("one too many", 6, share.None, false)
	for conn, from := range map[uint64]share.Source{1: a, 2: a, 3: a, 4: b, 5: share.None} {
		p.Free(conn, from)
	}
	for conn := range uint64(5) {
		take("of those that this node has dialled each", conn, share.None, true)
	}
}
