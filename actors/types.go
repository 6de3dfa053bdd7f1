package actors

import (
	"strconv"
	"strings"
)

// typePrefix begins the names of the actors of message types, and of no others.
const typePrefix = "type-"

// typeName is the name of the actor of a message type.
func typeName(t int32) string { return typePrefix + strconv.FormatInt(int64(t), 10) }

// isTypeName reports whether a name is, or looks like, that of such an actor.
func isTypeName(name string) bool { return strings.HasPrefix(name, typePrefix) }

// checkType says whether an actor for a message type may be registered.
func (x *extensions) checkType(m *Register) error {
	if x.env.types == nil {
		return ErrNoDHT
	}
	if err := x.env.types.Check(*m.Type); err != nil {
		return err
	}
	if m.Name = typeName(*m.Type); x.byName(m.Name) != nil {
		return &TypeTakenError{*m.Type}
	}
	return nil
}
