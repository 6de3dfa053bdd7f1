package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// NotTaken is a connected peer that takes no messages of ours: it ends each
// substream for them before one message is proven. A node of release 1.7 does
// so, until it restarts, once it has closed a connection itself.
type NotTaken struct {
	Peer     identity.NodeID
	Protocol protocol.ID // of the messages
	Times    int         // substreams in a row
	Last     time.Time   // the last one
	Err      error       // how that ended
}

type notTakenKey struct {
	peer     identity.NodeID
	protocol protocol.ID
}

// NotTaken lists the peers that take no messages of ours, the latest first.
func (e *env) NotTaken() []NotTaken { return e.notTaken.All(e.Now()) }

// tellTaken notes the session's first proof: a peer that an earlier session
// took for one that takes no messages takes them again.
func (s *session) tellTaken(settled []messaging.Settled[*Enqueue]) {
	if s.taken || !slices.ContainsFunc(settled, func(x messaging.Settled[*Enqueue]) bool { return x.Outcome.Kind == protocol.Confirmed }) {
		return
	}
	s.taken = true
	s.env.notTaken.Forget(notTakenKey{s.peer, s.protocol.ID})
}

// tellNotTaken notes that the peer has ended one more substream, or that it
// takes messages again.
func (s *session) tellNotTaken(c actor.Context) {
	times, err := s.out.EndedByPeer()
	if times == s.notTaken {
		return
	}
	s.notTaken = times
	key, now := notTakenKey{s.peer, s.protocol.ID}, supervisor.Now(c)
	if times == 0 {
		s.env.notTaken.Forget(key)
		return
	}
	s.env.notTaken.Notice(now, key, func(n *NotTaken) { *n = NotTaken{s.peer, s.protocol.ID, times, now, err} })
}
