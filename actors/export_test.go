package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport/mux"
)

// Accounts is how many peers have an account for what is sent to them.
func (e *Env) Accounts() int {
	e.Plain.accounts.mu.Lock()
	defer e.Plain.accounts.mu.Unlock()
	return len(e.Plain.accounts.byPeer)
}

// Session is the session of a live connection.
func (r *ConnRef) Session() *mux.Session { return r.live.session.Load() }

// NewFrame is a frame as the reader task makes it: its credit is taken.
func NewFrame(account *credit.Account, key identity.PublicKey, conn uint64, body []byte) Frame {
	if !account.TryTake(len(body)) {
		panic("no credit for the frame")
	}
	return Frame{Peer: key.NodeID(), Key: key, Conn: conn, Body: body, lease: &lease{account: account, n: len(body)}}
}

// From is the ban of an offence that came from there.
func (m BanPeer) From(o peerstore.Origin) BanPeer {
	m.origin = o
	return m
}

// ForwardMessage is what outbound hears.
type ForwardMessage = forwardMessage

// Unreached is how many messages did not reach all they were for.
func (e *Env) Unreached() int { return e.DHT.Unreached.Len() }

// End gives the credit of a message back that was passed on.
func (m forwardMessage) End() {
	m.lease.l.take()
	m.lease.Discard()
}

// SetType makes an actor the handler of a message type.
func (e *Env) SetType(t int32, pid *actor.PID) { e.Types.Set(t, NewTypeHandler(pid)) }
