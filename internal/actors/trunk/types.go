package trunk

import (
	"strconv"
	"strings"

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
