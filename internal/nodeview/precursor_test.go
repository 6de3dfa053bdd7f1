package nodeview

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestPrecursor: the connection before the present one is not the one that crossed with it.
func TestPrecursor(t *testing.T) {
	peer, other := identity.NodeID{1}, identity.NodeID{2}
	begin := time.Unix(1000, 0)
	closed := func(p identity.NodeID, id uint64, since, at time.Duration, code string) actors.ClosedConn {
		return actors.ClosedConn{Ref: &actors.ConnRef{ID: id, Peer: p, Direction: protocol.Inbound, Since: begin.Add(since)}, At: begin.Add(at), Reason: actors.CloseReason{Code: code}}
	}
	const in, out = protocol.Inbound, protocol.Outbound
	for name, c := range map[string]struct {
		is     protocol.Direction
		closed []actors.ClosedConn // inbound
		want   uint64              // 0: none
	}{
		"none":                {out, nil, 0},
		"of another peer":     {out, []actors.ClosedConn{closed(other, 1, 0, time.Minute, actors.CloseEnded)}, 0},
		"the last of two":     {out, []actors.ClosedConn{closed(peer, 1, 0, time.Second, actors.CloseEnded), closed(peer, 2, 2*time.Second, time.Minute, actors.CloseEnded)}, 2},
		"its place was taken": {out, []actors.ClosedConn{closed(peer, 1, 0, time.Hour+time.Second, actors.CloseTieBreak)}, 1},
		"one that crossed":    {out, []actors.ClosedConn{closed(peer, 1, time.Hour-time.Second, time.Hour, actors.CloseTieBreak)}, 0},
		"from elsewhere soon": {in, []actors.ClosedConn{closed(peer, 1, time.Hour-time.Second, time.Hour, actors.CloseTieBreak)}, 1},
		"one that came later": {out, []actors.ClosedConn{closed(peer, 1, time.Hour+time.Second, time.Hour+time.Minute, actors.CloseTieBreak)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Precursor(c.closed, &actors.ConnRef{Peer: peer, Direction: c.is, Since: begin.Add(time.Hour)})
			if ok != (c.want != 0) || ok && got.Ref.ID != c.want {
				t.Errorf("got %+v, %v, want connection %d", got, ok, c.want)
			}
		})
	}
}
