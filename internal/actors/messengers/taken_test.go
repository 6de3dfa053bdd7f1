package messengers

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestNotTakenEndsWithTheFirstProof of a new session, and of that peer and
// protocol alone; what is in doubt or has failed proves nothing.
func TestNotTakenEndsWithTheFirstProof(t *testing.T) {
	now, room := time.Unix(1000, 0), &Room{Base: new(base.Base)}
	peer, other := identity.NodeID{1}, identity.NodeID{2}
	for _, key := range []notTakenKey{{peer, "a"}, {peer, "b"}, {other, "a"}} {
		room.notTaken.Notice(now, key, func(n *actors.NotTaken) { n.Peer, n.Protocol = key.peer, key.protocol })
	}
	s := &session{room: room, peer: peer, protocol: &Messaging{ID: "a"}}
	left := func(want int) {
		t.Helper()
		if got := room.notTaken.All(now); len(got) != want {
			t.Errorf("got %+v, want %d", got, want)
		}
	}
	settled := func(kinds ...protocol.OutcomeKind) (all []messaging.Settled[*Enqueue]) {
		for _, k := range kinds {
			all = append(all, messaging.Settled[*Enqueue]{Outcome: protocol.Outcome{Kind: k}})
		}
		return all
	}
	s.tellTaken(settled(protocol.InDoubt, protocol.Failed))
	left(3)
	s.tellTaken(settled(protocol.Failed, protocol.Confirmed))
	left(2)
	for _, n := range room.notTaken.All(now) {
		if n.Peer == peer && n.Protocol == "a" {
			t.Errorf("got %+v, want it forgotten", n)
		}
	}
}
