package outcomepart

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestSettledOnce: a message that its actor has ended, and whose mailbox discards it after a panic, gives its credit back once.
func TestSettledOnce(t *testing.T) {
	credit, done, ended := 0, 0, counter{}
	s := &send{o: &Outcomes{trunk: &ended}, giveBack: func() { credit++ }, done: func(protocol.Outcome) { done++ }}
	s.settle(protocol.Outcome{Kind: protocol.Confirmed})
	s.Discard()
	if credit != 1 || done != 1 || ended.n != 1 {
		t.Errorf("got credit %d times, an outcome %d times, and %d counted, want all once", credit, done, ended.n)
	}
}

// counter is a trunk that counts outcomes.
type counter struct {
	Trunk // nil: the rest is not used
	n     int
}

func (c *counter) Ended(identity.NodeID, protocol.Outcome) { c.n++ }
