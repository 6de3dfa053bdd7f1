package connpool

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// TestReplaceable chooses among the idle connections that were of no use, each of
// them now and then, and no other.
//
// conforms: comms 125; V 8
func TestReplaceable(t *testing.T) {
	guests := []InboundConn{
		{Conn: 1, Quiet: ReplaceAfter - 1}, {Conn: 2, Quiet: ReplaceAfter}, {Conn: 3, Quiet: 100 * ReplaceAfter, Valued: true}, {Conn: 4, Quiet: 9 * ReplaceAfter},
	}
	for i, want := range []uint64{2, 4} {
		got, ok := Replaceable(guests, InboundConn{}, func(n int) int {
			if n != 2 {
				t.Errorf("got %d to choose from, want 2", n)
			}
			return i
		})
		if !ok || got.Conn != want {
			t.Errorf("got %d, %v, want %d", got.Conn, ok, want)
		}
	}
	if got, ok := Replaceable(guests[2:3], InboundConn{}, nil); ok {
		t.Errorf("got %d replaced, want none", got.Conn)
	}
}

// TestReplaceableBySource has all connections be of use: one of the source that has most makes
// way for a newcomer whose source has less.
//
// conforms: V 39
func TestReplaceableBySource(t *testing.T) {
	at := func(ip string) share.Source { return share.Of(netip.MustParseAddr(ip)) }
	a, b := at("8.8.8.8"), at("9.9.9.9")
	useful := func(conn uint64, from share.Source, quiet time.Duration) InboundConn {
		return InboundConn{Peer: identity.NodeID{byte(conn)}, Source: from, Conn: conn, Quiet: quiet, Valued: true}
	}
	held, last := useful(1, a, time.Hour), useful(2, a, time.Hour)
	held.KeptOpen, last.Last = true, true
	for _, c := range []struct {
		name   string
		guests []InboundConn
		from   share.Source
		want   uint64 // 0: none
	}{
		{"the idlest of the source with most", []InboundConn{held, last, useful(3, a, 1), useful(4, a, 9), useful(5, b, 99)}, at("7.7.7.7"), 4},
		{"who goes last after others", []InboundConn{held, last, useful(5, b, 99)}, at("7.7.7.7"), 2},
		{"nobody for a source that has as many", []InboundConn{useful(3, a, time.Hour), useful(4, a, time.Hour), useful(5, b, time.Hour)}, b, 0},
		{"nobody of its own source", []InboundConn{useful(3, a, time.Hour), useful(4, a, time.Hour)}, a, 0},
		{"who is never replaced", []InboundConn{held, {Source: a, KeptOpen: true, Valued: true}}, b, 0},
		{"exempt ones have sixteen shares", []InboundConn{useful(3, share.Exempt, 1), useful(4, share.Exempt, 1), useful(5, b, 1), useful(6, b, 2)}, a, 6},
		{"exempt ones beyond those", func() (all []InboundConn) {
			for i := range uint64(40) {
				all = append(all, useful(10+i, share.Exempt, time.Duration(i)))
			}
			return all
		}(), a, 49},
		{"exempt ones among themselves do not", []InboundConn{useful(3, share.Exempt, time.Hour), useful(4, share.Exempt, time.Hour)}, share.Exempt, 0},
	} {
		got, ok := Replaceable(c.guests, InboundConn{Peer: identity.NodeID{99}, Source: c.from}, nil)
		if got.Conn != c.want || ok != (c.want != 0) {
			t.Errorf("%s: got %d, want %d", c.name, got.Conn, c.want)
		}
	}
}
