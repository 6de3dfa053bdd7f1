package gamelantest

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
)

// Crash makes the actor at path panic with value in its own turn, as a bug in it would,
// when it handles the message that Crash sends. Then its parent's policy decides. The
// path is relative to the node, such as "services/messaging", or absolute as in a
// snapshot of the tree. Crash reports whether there is such an actor.
func Crash(n *gamelan.Node, path string, value any) bool {
	root := n.Inspection().Tree().PID().Id
	if path != root && !strings.HasPrefix(path, root+"/") {
		path = root + "/" + path
	}
	for _, info := range n.Inspection().Tree().Snapshot() {
		if info.Path == path {
			system := n.System()
			system.Root.Send(system.NewLocalPID(path), &crash{value})
			return true
		}
	}
	return false
}

// crash is a message that panics in the turn of its receiver. No Receive knows it; but
// after Receive has returned, the actor runtime calls GetAutoResponse.
type crash struct{ value any }

var _ actor.AutoRespond = (*crash)(nil)

// GetAutoResponse panics.
func (m *crash) GetAutoResponse(actor.Context) any { panic(m.value) }

// IgnoreDeadLetterLogging keeps a crash for an ended actor out of the log.
func (m *crash) IgnoreDeadLetterLogging() {}
