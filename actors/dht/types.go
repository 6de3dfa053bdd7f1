package dht

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// TypeHandler is the actor that hears the messages of one type which come over
// the DHT, as [dht.Received].
type TypeHandler struct {
	PID  *actor.PID // nil while the actor has failed, until it is tried or registered again
	work *dht.Work
}

// failed reports whether there is nobody for the moment.
func (h TypeHandler) failed() bool { return h.PID == nil }

// NewTypeHandler is for parts of the node that handle a type themselves.
func NewTypeHandler(pid *actor.PID) TypeHandler { return TypeHandler{pid, new(dht.Work)} }

// Holding returns how many messages it has not finished.
func (h TypeHandler) Holding() uint64 { return h.work.Holding() }

// errPings refuses the type of the pinger.
var errPings = fmt.Errorf("%w: type %d is that of pings, which the node answers itself; choose another one", actors.ErrTypeTaken, dht.TypePing)

// typeTable keeps the users' actors that hear messages of their types.
type typeTable struct{ dht *DHT }

// Check refuses a type that has an actor.
func (t typeTable) Check(kind int32) error {
	if kind == dht.TypePing {
		return errPings
	}
	if _, ok := t.dht.Types.Get(kind); ok {
		return &actors.TypeTakenError{Type: kind}
	}
	return nil
}

// Set has an actor hear the messages of a type, with nothing in hand; nil says that
// it has failed.
func (t typeTable) Set(kind int32, pid *actor.PID) { t.dht.Types.Set(kind, NewTypeHandler(pid)) }

// Delete ends that.
func (t typeTable) Delete(kind int32) { t.dht.Types.Delete(kind) }
