package dhtpart

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// NewFrame is a frame as the reader task makes it: its credit is taken.
func NewFrame(account *credit.Account, key identity.PublicKey, conn uint64, body []byte) Frame {
	if !account.TryTake(len(body)) {
		panic("no credit for the frame")
	}
	p := new(credit.Permit)
	p.Init(account, len(body))
	return Frame{Peer: key.NodeID(), Key: key, Conn: conn, Body: body, permit: p}
}

// RelayMessage is what outbound hears.
type RelayMessage = relayMessage

// Missed is how many messages did not reach all they were for.
func (d *DHT) Missed() int { return d.Unreached.Len() }

// End gives the credit of a message back that was passed on.
func (m relayMessage) End() {
	m.credit.permit.TakePassed()
	m.credit.permit.Discard()
}

// SetType makes an actor the handler of a message type.
func (d *DHT) SetType(t int32, pid *actor.PID) { d.Types.Set(t, NewTypeHandler(pid)) }
