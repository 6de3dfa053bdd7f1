package gamelan

import (
	"context"
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// nodeEnded is the outcome of a message whose node has ended before.
var nodeEnded = Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: ErrClosed}

// sendWait is what one Send waits with. Unlike a [Pending] it serves one goroutine, and
// others after it.
type sendWait struct {
	outcome chan Outcome
	settle  func(Outcome) // called at most once for each message
}

// sendWaits lends sendWaits. Each node has its own, so that no channel of one synctest bubble
// gets into another.
type sendWaits struct{ pool sync.Pool }

func (p *sendWaits) get() *sendWait {
	if w, ok := p.pool.Get().(*sendWait); ok {
		return w
	}
	w := &sendWait{outcome: make(chan Outcome, 1)}
	w.settle = func(o Outcome) { w.outcome <- o }
	return w
}

// put takes back a sendWait whose settle was called and whose outcome was received, or that
// was given to nobody.
func (p *sendWaits) put(w *sendWait) { p.pool.Put(w) }

// waitFor waits for the outcome of a message that was accepted. If ctx ends first, the message
// is withdrawn, which settles it.
func (n *Node) waitFor(ctx context.Context, w *sendWait, peer identity.NodeID, serial uint64) Outcome {
	closed := n.closedFor(serial)
	select {
	case o := <-w.outcome:
		n.waits.put(w)
		return o
	case <-closed:
	case <-ctx.Done():
		n.trunk.Plain().Withdraw(peer, serial)
		select {
		case o := <-w.outcome:
			n.waits.put(w)
			return o
		case <-closed:
		}
	}
	select { // what was settled before the end stands
	case o := <-w.outcome:
		return o
	default:
		return nodeEnded // settle may still be called: w is not used again
	}
}

// closings are channels that are all closed when the node has ended. A channel has a lock,
// which thousands of callers that wait on one channel would fight for.
type closings [16]chan struct{}

func newClosings() (c closings) {
	for i := range c {
		c[i] = make(chan struct{})
	}
	return c
}

func (c *closings) close() {
	for _, ch := range c {
		close(ch)
	}
}

func (n *Node) closedFor(serial uint64) <-chan struct{} {
	return n.closings[serial%uint64(len(n.closings))]
}
