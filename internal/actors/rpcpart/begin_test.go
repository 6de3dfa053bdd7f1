package rpcpart

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestSessionEndsBeforeItBegins removes a service, or stops the node, while the
// session's actor has not started: it must not have a substream then.
func TestSessionEndsBeforeItBegins(t *testing.T) {
	for name, end := range map[string]func(*servedSession){
		"cut": (*servedSession).end, "in order": (*servedSession).leave,
	} {
		s := new(servedSession)
		end(s)
		if s.begin(*new(protocol.Stream)) {
			t.Errorf("%s: got a session that begins, want none", name)
		}
	}
}
