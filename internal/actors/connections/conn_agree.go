package connections

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// answersWhenTaken reports whether this user agent and protocol list are those of a node
// that accepts a messaging substream when its session has taken it.
func answersWhenTaken(agent string, list []protocol.ID) bool {
	return useragent.Ours(agent) && slices.Contains(list, protocol.TakenMarker)
}

// propose agrees with the peer on the first of m.IDs that the peer accepts. If the peer's
// identity message lists the very first id, propose does not wait for an answer (comms
// 72). Otherwise it asks, because the peer may have registered the protocol since.
func propose(s *mux.Stream, ref *actors.ConnRef, m OpenSubstream) (protocol.ID, messaging.Acceptance, error) {
	asks := m.ForMessages && ref.Link().Answers
	if !knownTo(ref, m) {
		id, err := negotiate.Open(s, m.IDs)
		if asks {
			return id, messaging.Given, err
		}
		return id, messaging.Assumed, err
	}
	id := m.IDs[0]
	switch {
	case asks:
		return id, messaging.Awaited, negotiate.OpenAsking(s, id)
	case m.Held:
		name, err := negotiate.AppendOptimistic(nil, id)
		if err == nil {
			err = s.WriteHeld(name)
		}
		return id, messaging.Assumed, err
	}
	return id, messaging.Assumed, negotiate.OpenOptimistic(s, id)
}

// knownTo reports whether the peer has announced the first protocol of a request.
func knownTo(ref *actors.ConnRef, m OpenSubstream) bool {
	return len(m.IDs) > 0 && ref.Accepts(m.IDs[0])
}

// agree negotiates the protocol of a substream that the peer has opened. It accepts the
// substream, unless that is left to a messaging session; then owed is not nil.
func (a *conn) agree(s protocol.Stream, rounds int) (_ protocol.ID, owed *negotiate.Choice, _ error) {
	choice, err := negotiate.Choose(s, rounds, a.supported)
	if err != nil {
		return "", nil, err
	}
	pid, _ := a.room.Protocols.Get(choice.ID)
	switch {
	case !a.room.needs.Carries(choice.ID, pid):
		if choice.Waits {
			err = choice.Accept(s)
		}
	case choice.Waits, choice.Listens && a.ref.Link().Answers:
		owed = &choice
	}
	return choice.ID, owed, err
}

// withoutDHT reports whether this user agent and protocol list are those of a node of
// this library that runs without the DHT.
func withoutDHT(agent string, list []protocol.ID) bool {
	return useragent.Ours(agent) && !slices.Contains(list, protocol.DHTMarker)
}

// WithoutDHT reports whether a known peer is a node of this library that runs without the DHT. The
// answer comes from the identity message of its connection, or, if it is not connected, of its
// last one.
func (r *Room) WithoutDHT(p peerstore.Peer) bool {
	if ref, ok := r.Connections.Get(p.ID); ok {
		return ref.Link().NoDHT
	}
	return withoutDHT(p.UserAgent, p.Protocols)
}
