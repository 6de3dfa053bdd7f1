package connpool

import "testing"

// TestReplaceable chooses among the idle connections that were of no use, each of
// them now and then, and no other.
//
// conforms: comms 125; V 8
func TestReplaceable(t *testing.T) {
	guests := []InboundConn{
		{Conn: 1, Quiet: ReplaceAfter - 1}, {Conn: 2, Quiet: ReplaceAfter}, {Conn: 3, Quiet: 100 * ReplaceAfter, Kept: true}, {Conn: 4, Quiet: 9 * ReplaceAfter},
	}
	for i, want := range []uint64{2, 4} {
		got, ok := Replaceable(guests, func(n int) int {
			if n != 2 {
				t.Errorf("got %d to choose from, want 2", n)
			}
			return i
		})
		if !ok || got.Conn != want {
			t.Errorf("got %d, %v, want %d", got.Conn, ok, want)
		}
	}
	if got, ok := Replaceable(guests[2:3], nil); ok {
		t.Errorf("got %d replaced, want none", got.Conn)
	}
}
