package messengers

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

type notTakenKey struct {
	peer     identity.NodeID
	protocol protocol.ID
}

// NotTaken lists the peers that accept no messages of this node, the latest first.
func (r *Room) NotTaken() []actors.NotTaken { return r.notTaken.All(r.Now()) }

// tellTaken removes the peer from the list of NotTaken when the session's first
// message is proven. An earlier session may have put the peer there.
func (s *session) tellTaken(settled []messaging.Settled[*Enqueue]) {
	if s.acceptedReported || !slices.ContainsFunc(settled, func(x messaging.Settled[*Enqueue]) bool { return x.Outcome.Kind == protocol.Confirmed }) {
		return
	}
	s.acceptedReported = true
	s.room.notTaken.Forget(notTakenKey{s.peer, s.protocol.ID})
}

// tellNotTaken updates the list of NotTaken when the peer has ended one more
// substream, or accepts messages again.
func (s *session) tellNotTaken(c actor.Context) {
	times, err := s.out.machine.EndedByPeer()
	if times == s.refusalsReported {
		return
	}
	s.refusalsReported = times
	key, now := notTakenKey{s.peer, s.protocol.ID}, supervisor.Now(c)
	if times == 0 {
		s.room.notTaken.Forget(key)
		return
	}
	s.room.notTaken.Notice(now, key, func(n *actors.NotTaken) {
		*n = actors.NotTaken{Peer: s.peer, Protocol: s.protocol.ID, Times: times, Last: now, Err: err}
	})
}
