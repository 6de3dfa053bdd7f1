package outcomepart

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestSettledOnce: a message that its actor has ended, and whose mailbox discards it after a panic, gives its credit back once.
func TestSettledOnce(t *testing.T) {
	credit, done := 0, 0
	s := &send{o: new(Outcomes), giveBack: func() { credit++ }, done: func(protocol.Outcome) { done++ }}
	s.settle(protocol.Outcome{Kind: protocol.Confirmed})
	s.Discard()
	if credit != 1 || done != 1 {
		t.Errorf("got credit %d times and an outcome %d times, want both once", credit, done)
	}
}
