package dhtpart

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// TypeHandler is the actor that receives the DHT messages of one type, as
// [dht.Received].
type TypeHandler struct {
	PID  *actor.PID // nil after the actor has failed, until it is started or registered again
	work *dht.Work
}

// failed reports whether the actor has failed and was not started again.
func (h TypeHandler) failed() bool { return h.PID == nil }

// NewTypeHandler returns a TypeHandler for an actor that holds no messages yet.
func NewTypeHandler(pid *actor.PID) TypeHandler { return TypeHandler{pid, new(dht.Work)} }

// Holding returns how many messages the actor has not finished.
func (h TypeHandler) Holding() uint64 { return h.work.Holding() }

// errPings refuses the registration of the type of pings.
var errPings = fmt.Errorf("%w: type %d is that of pings, which the node answers itself; choose another one", actors.ErrTypeTaken, dht.TypePing)

// typeTable is the [users.TypeTable] of the users' actors that receive DHT messages.
type typeTable struct{ dht *DHT }

// Check returns an error if the type has an actor already.
func (t typeTable) Check(kind int32) error {
	if kind == dht.TypePing {
		return errPings
	}
	if _, ok := t.dht.Types.Get(kind); ok {
		return &actors.TypeTakenError{Type: kind}
	}
	return nil
}

// Set makes an actor receive the messages of a type; it holds no messages yet. A nil pid
// means that the actor has failed.
func (t typeTable) Set(kind int32, pid *actor.PID) { t.dht.Types.Set(kind, NewTypeHandler(pid)) }

// Delete removes the actor of a type.
func (t typeTable) Delete(kind int32) { t.dht.Types.Delete(kind) }
