package messengers

import (
	"errors"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The profile's messaging protocol carries messages of the DHT on most nodes, and plain
// messages on some; its id does not say which. Between nodes of this library the protocol
// list in the identity message of the connection says it, so that no message is confirmed
// by a node that cannot decode it (spec: comms 8.1). The lists of other nodes are not used
// for this.

// Reserved reports whether an id has a fixed meaning between nodes, so that no
// other protocol may use it.
func (r *Room) Reserved(id protocol.ID) bool {
	switch id {
	case r.Profile.MessagingID, r.Profile.IdentityID, r.Plain.ID, protocol.PlainID, protocol.DHTMarker, protocol.TakenMarker, protocol.FullMarker, protocol.PeersID, more.ID, reach.ID, why.ID, outcomes.ID, outcomes.AnswersID:
		return true
	}
	return false
}

// Carries reports whether pid is the actor of the node's own messaging protocol with
// this id.
func (r *Room) Carries(id protocol.ID, pid *actor.PID) bool {
	return slices.ContainsFunc(r.Messagings(), func(m *Messaging) bool { return m.ID == id && m.PID.Equal(pid) })
}

// Decodes reports whether this node can decode the messages that the peer sends on a
// protocol. Only on the profile's messaging protocol, which two kinds of messages share,
// may the answer be no: for nodes of this library that would send the other kind.
func (r *Room) Decodes(id protocol.ID, from *actors.ConnRef) bool {
	switch {
	case id != r.Profile.MessagingID || !from.Ours():
		return true
	case r.DHT:
		return !from.Link().NoDHT
	}
	return from.Link().NoDHT
}

// refusal returns an error if this node must not send messages of this protocol on a
// connection; the error says why, and what to change. Only the profile's messaging
// protocol, which two kinds of messages share, needs this check: on any other protocol
// the peer itself refuses the substream.
func (m *Messaging) refusal(to *actors.ConnRef) error {
	switch {
	case m.ours && !to.Ours():
		return ErrForeign
	case m.ID != m.room.Profile.MessagingID || !to.Ours():
		return nil
	case m.frames() && to.Link().NoDHT:
		code := codes.PeerWithoutDHT
		if to.Accepts(m.room.Plain.ID) {
			code = codes.PeerTakesPlain
		}
		return coded(code, nil, "it runs without the DHT")
	case !m.frames() && !to.Link().NoDHT:
		return coded(codes.ProfileShared, nil, "%s is the DHT's there, and this node sends other messages on it", m.ID)
	case !m.frames() && to.Accepts(protocol.PlainID):
		return coded(codes.ProfileShared, nil, "it takes messages of connected peers on %s, and this node sends them on %s", protocol.PlainID, m.ID)
	}
	return nil
}

// declined returns the error for a peer that has refused the protocol. It says what to
// change.
func (m *Messaging) declined(to *actors.ConnRef, err error) error {
	shared := m.room.Profile.MessagingID
	switch {
	case m.ours && to.Accepts(m.ID): // its list came after the refusal: it was starting
		return refused(err, "it did not take %s a moment ago, and takes it now", m.ID)
	case m.ours && to.Accepts(m.room.Plain.ID):
		return &refusedError{fmt.Sprintf("its release is older and does not know %s", m.ID), errors.Join(err, ErrForeign), nil}
	case m.frames() || !to.Ours() && (m.ID == shared || !to.Accepts(shared)):
		return refused(err, "it does not know %s", m.ID)
	case !to.Ours() && !m.room.DHT:
		return coded(codes.ForeignPeerNoDHT, err, "it is no node of Gamelan, and messages to connected peers have the protocol %s", m.ID)
	case !to.Ours():
		return coded(codes.ForeignPeer, err, "it is no node of Gamelan, and messages to connected peers have the protocol %s", m.ID)
	case to.Link().NoDHT && m.ID != shared && to.Accepts(shared):
		return refused(err, "it takes messages of connected peers on %s, and this node sends them on %s; start that node without PlainOnProfile, or this one with NoDHT and PlainOnProfile", shared, m.ID)
	}
	return refused(err, "nothing there takes messages of connected peers on %s; give that node a handler (WithHandler), and the same PlainID as this one", m.ID)
}

// refusedError is an ErrNotTaken that says what to change. cause is the peer's answer, or
// nil if the peer was not asked; code is nil if nothing of the registry fits.
type refusedError struct {
	why   string
	cause error
	code  *codes.Code
}

// coded is refused with a code, whose step ends the text.
func coded(code *codes.Code, cause error, format string, args ...any) error {
	return &refusedError{fmt.Sprintf(format, args...) + "; " + code.Step, cause, code}
}

// Code returns the code of the error, or nil.
func (e *refusedError) Code() *codes.Code { return e.code }

// ErrForeign is the error of a message with an id to a node of another make.
var ErrForeign = refused(nil, "it is no node of Gamelan, and only those tell what became of a message; send it without Kept, Handled and To")

func refused(cause error, format string, args ...any) error {
	return &refusedError{fmt.Sprintf(format, args...), cause, nil}
}

func (e *refusedError) Error() string { return actors.ErrNotTaken.Error() + ": " + e.why }

// Unwrap returns ErrNotTaken and, if there is one, the peer's answer.
func (e *refusedError) Unwrap() []error {
	if e.cause == nil {
		return []error{actors.ErrNotTaken}
	}
	return []error{actors.ErrNotTaken, e.cause}
}
