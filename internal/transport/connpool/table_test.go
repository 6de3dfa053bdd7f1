package connpool

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const (
	in  = protocol.Inbound
	out = protocol.Outbound
)

var (
	small = identity.NodeID{0: 1, 12: 9}
	large = identity.NodeID{0: 2}
)

// began is when the set-up of a connection began.
var began = map[string]time.Time{"a": time.Unix(1, 0), "b": time.Unix(2, 0), "c": time.Unix(3, 0)}

// a chain of events and what the table says to each.
type step struct {
	event string // arrive CONN DIRECTION, proven CONN MARK, end CONN, leave, leave-all
	want  string
}

// conforms: comms 115-117, 124
func TestTable(t *testing.T) {
	for _, c := range []struct {
		name      string
		own, peer identity.NodeID
		steps     []step
		left      string
	}{
		{"newer of the same direction", small, large, []step{
			{"arrive a inbound", "announce a"},
			{"arrive b inbound", "announce b, close silently a"},
			{"end a", ""},
			{"end b", "withdraw b"},
			{"end b", ""},
		}, ""},
		{"crossed, new one loses", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive theirs inbound", "announce ours, prove ours 1"},
			{"proven ours 1", "retire theirs"},
			{"proven ours 1", ""},
			{"end theirs", ""},
		}, "ours"},
		{"crossed, new one wins", large, small, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive theirs inbound", "announce theirs, prove theirs 1"},
			{"proven theirs 1", "retire ours"},
			{"end ours", ""},
		}, "theirs"},
		{"ours of the larger node arrives last", large, small, []step{
			{"arrive theirs inbound", "announce theirs"},
			{"arrive ours outbound", "announce theirs, prove theirs 1"},
			{"proven theirs 1", "retire ours"},
		}, "theirs"},
		{"the winner is dropped before it is proven", large, small, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive theirs inbound", "announce theirs, prove theirs 1"},
			{"end theirs", "announce ours"},
			{"proven theirs 1", ""},
		}, "ours"},
		{"the loser ends by itself", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive theirs inbound", "announce ours, prove ours 1"},
			{"end theirs", ""},
			{"proven ours 1", ""},
			{"end ours", "withdraw ours"},
		}, ""},
		{"an old proof does not count", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive a inbound", "announce ours, prove ours 1"},
			{"end a", ""},
			{"arrive b inbound", "announce ours, prove ours 2"},
			{"proven ours 1", ""},
			{"proven ours 2", "retire b"},
		}, "ours"},
		{"the peer dials twice beside ours", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive a inbound", "announce ours, prove ours 1"},
			{"arrive b inbound", "announce ours, prove ours 2, close silently a"},
			{"end ours", "announce b"},
			{"end b", "withdraw b"},
		}, ""},
		{"the winner is dialled again", large, small, []step{
			{"arrive a inbound", "announce a"},
			{"arrive ours outbound", "announce a, prove a 1"},
			{"arrive b inbound", "announce b, prove b 2, close silently a"},
			{"proven a 1", ""},
			{"proven b 2", "retire ours"},
		}, "b"},
		{"who leaves takes the other one along", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"arrive theirs inbound", "announce ours, prove ours 1"},
			{"leave", "close silently theirs"},
			{"leave", ""},
			{"proven ours 1", ""},
			{"end ours", "withdraw ours"},
		}, ""},
		{"one that comes while the other leaves", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"leave", ""},
			{"arrive a inbound", ""},
			{"arrive b inbound", "close silently a"},
			{"end ours", "withdraw ours, announce b"},
		}, "b"},
		{"… which is asked for twice", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"leave", ""},
			{"arrive theirs inbound", ""},
			{"leave", ""},
			{"end ours", "withdraw ours, announce theirs"},
		}, "theirs"},
		{"… and may not stay", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"leave", ""},
			{"arrive theirs inbound", ""},
			{"leave-all", "close silently theirs"},
			{"leave-all", ""},
			{"end theirs", ""},
			{"end ours", "withdraw ours"},
		}, ""},
		{"… and is gone first", small, large, []step{
			{"arrive ours outbound", "announce ours"},
			{"leave", ""},
			{"arrive theirs inbound", ""},
			{"end theirs", ""},
			{"end ours", "withdraw ours"},
		}, ""},
		{"… in its place", small, large, []step{
			{"arrive a inbound", "announce a"},
			{"leave", ""},
			{"arrive ours outbound", ""},
			{"arrive b inbound", "announce ours, prove ours 1, close silently a"},
			{"proven ours 1", "retire b"},
		}, "ours"},
		{"one that was overtaken", small, large, []step{
			{"arrive b inbound", "announce b"},
			{"arrive a inbound", "announce b, close silently a"},
			{"arrive ours outbound", "announce ours, prove ours 1"},
			{"arrive a inbound", "announce ours, prove ours 2, close silently a"},
			{"end ours", "announce b"},
		}, "b"},
		{"after the end the next is welcome", small, large, []step{
			{"arrive a outbound", "announce a"},
			{"end a", "withdraw a"},
			{"arrive b inbound", "announce b"},
			{"leave", ""},
			{"end b", "withdraw b"},
			{"arrive c inbound", "announce c"},
		}, "c"},
		{"what is not there", small, large, []step{
			{"end a", ""},
			{"leave", ""},
			{"leave-all", ""},
			{"proven a 1", ""},
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := NewTable[string](c.own)
			for _, s := range c.steps {
				var acts []Act[string]
				f := append(strings.Fields(s.event), "", "")
				switch f[0] {
				case "arrive":
					acts = tb.Arrive(c.peer, f[1], map[string]protocol.Direction{"inbound": in, "outbound": out}[f[2]], began[f[1]])
				case "proven":
					mark, _ := strconv.ParseUint(f[2], 10, 64)
					acts = tb.Proven(c.peer, f[1], mark)
				case "end":
					acts = tb.End(c.peer, f[1])
				case "leave":
					acts = tb.Leave(c.peer)
				case "leave-all":
					acts = tb.LeaveAll(c.peer)
				default:
					t.Fatalf("unknown event %q", s.event)
				}
				if got := describe(acts); got != s.want {
					t.Errorf("%s: got %q, want %q", s.event, got, s.want)
				}
			}
			if got, ok := tb.Get(c.peer); got != c.left || ok != (c.left != "") {
				t.Errorf("got %q, %v at the end, want %q", got, ok, c.left)
			}
			if !tidy(tb) {
				t.Errorf("got %d peers in the table, want only those with a connection", len(tb.peers))
			}
		})
	}
}

// tidy reports whether the table remembers no peer without a connection.
func tidy(tb *Table[string]) bool {
	for peer := range tb.peers {
		if _, ok := tb.Get(peer); !ok {
			return false
		}
	}
	return true
}

func describe(acts []Act[string]) string {
	var all []string
	for _, a := range acts {
		text := a.Verb.String() + " " + a.Conn
		if a.Verb == Prove {
			text += fmt.Sprintf(" %d", a.Mark)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// The order of ids is that of their bytes, the first one first.
func TestFavoured(t *testing.T) {
	for i := range small {
		a, b := identity.NodeID{}, identity.NodeID{}
		a[i], b[i] = 0x7f, 0x80
		if i+1 < len(a) {
			a[i+1] = 0xff
		}
		if favoured(a, b) != out || favoured(b, a) != in {
			t.Errorf("byte %d: got the larger id's dial kept, want the smaller's", i)
		}
	}
}
