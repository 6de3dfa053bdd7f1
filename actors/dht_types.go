package actors

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

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

// errPings refuses the type of the pinger.
var errPings = fmt.Errorf("%w: type %d is that of pings, which the node answers itself; choose another one", ErrTypeTaken, dht.TypePing)

// NewTypeHandler is for parts of the node that handle a type themselves.
func NewTypeHandler(pid *actor.PID) TypeHandler { return TypeHandler{pid, new(dht.Work)} }

// Holding returns how many messages it has not finished.
func (h TypeHandler) Holding() uint64 { return h.work.Holding() }

// typePrefix begins the names of the actors of message types, and of no others.
const typePrefix = "type-"

// typeName is the name of the actor of a message type.
func typeName(t int32) string { return typePrefix + strconv.FormatInt(int64(t), 10) }

// isTypeName reports whether a name is, or looks like, that of such an actor.
func isTypeName(name string) bool { return strings.HasPrefix(name, typePrefix) }

// checkType says whether an actor for a message type may be registered.
func (x *extensions) checkType(m *Register) error {
	if x.env.DHT == nil {
		return ErrNoDHT
	}
	if *m.Type == dht.TypePing {
		return errPings
	}
	m.Name = typeName(*m.Type)
	if _, ok := x.env.Types.Get(*m.Type); ok || x.byName(m.Name) != nil {
		return &TypeTakenError{*m.Type}
	}
	return nil
}
