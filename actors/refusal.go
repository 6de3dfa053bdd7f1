package actors

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The protocol id of the profile's messages says nothing about their content: it
// carries the DHT's on most nodes and plain messages on some. Between nodes of this
// library the protocol list of the identity message decides which it is, on the
// connection that is used, so that no message is confirmed by a node that cannot
// decode it (spec: comms 8.1). Other nodes' lists are not asked.

// withoutDHT reports whether what a peer said of itself is that of a node of this
// library without the DHT.
func withoutDHT(agent string, list []protocol.ID) bool {
	return useragent.Ours(agent) && !slices.Contains(list, protocol.DHTMarker)
}

// NoDHT reports whether the peer said that it is a node of this library which runs
// without the DHT.
func (r *ConnRef) NoDHT() bool { return r.noDHT }

// Origin is where the connection comes from.
func (r *ConnRef) Origin() peerstore.Origin { return r.origin }

// ours reports whether the peer is a node of this library.
func (r *ConnRef) ours() bool { return useragent.Ours(r.UserAgent) }

// markers is how many ids our identity message lists that no actor handles.
func (e *env) markers() int {
	if !e.DHT {
		return 0
	}
	return 1
}

// reserved reports whether an id has a fixed meaning between nodes, so that no
// other protocol may use it.
func (e *env) reserved(id protocol.ID) bool {
	switch id {
	case e.Profile.MessagingID, e.Profile.IdentityID, e.Plain.ID, protocol.PlainID, protocol.DHTMarker:
		return true
	}
	return false
}

// carries reports whether the actor is that of the node's messaging protocol with
// this id.
func (e *env) carries(id protocol.ID, pid *actor.PID) bool {
	return slices.ContainsFunc(e.messagings(), func(m *Messaging) bool { return m.ID == id && m.PID.Equal(pid) })
}

// decodes reports whether this node can decode what the peer sends on a protocol.
// The one that two kinds of messages share is refused to those nodes of this
// library that would send the other kind.
func (e *env) decodes(id protocol.ID, from *ConnRef) bool {
	switch {
	case id != e.Profile.MessagingID || !from.ours():
		return true
	case e.DHT:
		return !from.noDHT
	}
	return from.noDHT
}

// refusal says why the peer at the other end of a connection must not be sent
// messages of this protocol, and what to change; nil means that it may. Only the
// protocol that two kinds of messages share needs it: on any other one the peer
// itself refuses what it does not take.
func (m *Messaging) refusal(to *ConnRef) error {
	switch {
	case m.ID != m.env.Profile.MessagingID || !to.ours():
		return nil
	case m.frames() && to.noDHT:
		why := "it runs without the DHT; start it without NoDHT (gamelan node: without --no-dht)"
		if to.Accepts(m.env.Plain.ID) {
			why += ", or send it a plain message (Node.Send, or gamelan send PEER)"
		}
		return &refusedError{why: why}
	case !m.frames() && !to.noDHT:
		return refused(nil, "%s is the DHT's there, and this node sends plain messages on it; %s", m.ID, leaveProfile)
	case !m.frames() && to.Accepts(protocol.PlainID):
		return refused(nil, "it takes plain messages on %s, and this node sends them on %s; %s", protocol.PlainID, m.ID, leaveProfile)
	}
	return nil
}

const leaveProfile = "start this node without PlainOnProfile (gamelan node: without --plain-on-profile)"

// declined says what to change when the peer has refused the protocol.
func (m *Messaging) declined(to *ConnRef, err error) error {
	shared := m.env.Profile.MessagingID
	switch {
	case m.frames() || !to.ours() && (m.ID == shared || !to.Accepts(shared)):
		return refused(err, "it does not know %s", m.ID)
	case !to.ours() && !m.env.DHT:
		return refused(err, "it is no node of Gamelan, and plain messages have the protocol %s; start this node without NoDHT and send it messages of the DHT (Send, or gamelan send --to KEY), or, if it has no DHT, start this node with PlainOnProfile", m.ID)
	case !to.ours():
		return refused(err, "it is no node of Gamelan, and plain messages have the protocol %s; send it messages of the DHT (Send, or gamelan send --to KEY), or, if it has no DHT, start this node with NoDHT and PlainOnProfile", m.ID)
	case to.noDHT && m.ID != shared && to.Accepts(shared):
		return refused(err, "it takes plain messages on %s, and this node sends them on %s; start that node without PlainOnProfile, or this one with NoDHT and PlainOnProfile", shared, m.ID)
	}
	return refused(err, "nothing there takes plain messages on %s; give that node a handler (WithHandler), and the same PlainID as this one", m.ID)
}

// refusedError is ErrNotTaken with what to change, and the peer's answer if one
// was asked for.
type refusedError struct {
	why   string
	cause error
}

func refused(cause error, format string, args ...any) error {
	return &refusedError{fmt.Sprintf(format, args...), cause}
}

func (e *refusedError) Error() string { return ErrNotTaken.Error() + ": " + e.why }

// Unwrap returns ErrNotTaken and the peer's answer.
func (e *refusedError) Unwrap() []error {
	if e.cause == nil {
		return []error{ErrNotTaken}
	}
	return []error{ErrNotTaken, e.cause}
}
