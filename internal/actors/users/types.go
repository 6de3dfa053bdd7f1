package users

import (
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
)

// typePrefix begins the names of the actors of message types, and of no others.
const typePrefix = "type-"

// typeName is the name of the actor of a message type.
func typeName(t int32) string { return typePrefix + strconv.FormatInt(int64(t), 10) }

// isTypeName reports whether a name begins like that of an actor of a message type.
func isTypeName(name string) bool { return strings.HasPrefix(name, typePrefix) }

// checkType returns an error if no actor may be registered for this message type.
// Otherwise it sets the actor's name.
func (x *extensions) checkType(m *Register) error {
	if x.room.Types == nil {
		return actors.ErrNoDHT
	}
	if err := x.room.Types.Check(*m.Type); err != nil {
		return err
	}
	if m.Name = typeName(*m.Type); x.byName(m.Name) != nil {
		return &actors.TypeTakenError{Type: *m.Type}
	}
	return nil
}

// TypeTable is a part's table of users' actors by message type. Each actor receives the
// messages of its type. See trunk.Trunk.ServeTypes. The actor extensions calls the methods.
type TypeTable interface {
	// Check returns an error if no actor may be registered for the type.
	Check(t int32) error
	// Set makes the actor receive the messages of the type. A nil pid means that the
	// actor has failed: it is still registered and may be started again.
	Set(t int32, pid *actor.PID)
	// Delete removes the actor of the type.
	Delete(t int32)
}
