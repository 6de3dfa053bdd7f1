package gamelan

import (
	"context"
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Pending is a message that was accepted. R is its result: an [Outcome] for a
// message to a neighbour, a [dht.Report] for one over the DHT. The methods may be
// called from any goroutine, as often as you like.
type Pending[R any] struct {
	node *Node

	// By peer and serial a message is withdrawn; serial is 0 if it cannot be.
	peer   identity.NodeID
	serial uint64

	done chan struct{} // closed when the result is final

	mu      sync.Mutex
	ended   bool          // done is closed
	result  R             // final; without progress and until ended: what it is if the node ends first
	from    progress[R]   // where the result is found while it grows; nil: there is only the final one
	changed chan struct{} // closed at the next change; nil while nobody waits for one
}

// progress is a result that grows.
type progress[R any] interface {
	Report() R
	Ended() bool
}

func newPending[R any](n *Node) *Pending[R] {
	return &Pending[R]{node: n, done: make(chan struct{})}
}

// Done returns a channel that is closed when the result is final. A node that
// fails may leave it open: select on [Node.Done] too.
func (p *Pending[R]) Done() <-chan struct{} { return p.done }

// Result returns what is known by now: of a message to a neighbour the zero
// [Outcome] until it has its own, of one over the DHT the outcomes that are there.
func (p *Pending[R]) Result() R {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.from != nil:
		return p.from.Report()
	case p.ended:
		return p.result
	}
	var none R
	return none
}

// Wait waits for the final result. When ctx ends first, a message to a neighbour
// is withdrawn, and its outcome is Failed(expired) or InDoubt(expired); one over
// the DHT goes on within its limit, and Wait returns what is known by then.
func (p *Pending[R]) Wait(ctx context.Context) R {
	select {
	case <-p.done:
		return p.Result()
	case <-p.node.closed:
	case <-ctx.Done():
		if p.serial == 0 {
			return p.Result()
		}
		p.node.trunk.Plain().Withdraw(p.peer, p.serial)
		select {
		case <-p.done:
			return p.Result()
		case <-p.node.closed:
		}
	}
	p.nodeEnded()
	return p.Result()
}

// WaitFor waits until the result so far is enough, is final, or ctx ends, and
// returns it. It withdraws nothing. Package dht has conditions for reports, such as
// [dht.ConfirmedBy].
func (p *Pending[R]) WaitFor(ctx context.Context, enough func(R) bool) R {
	for {
		changed := p.nextChange() // before the look: nothing is missed after it
		if r := p.Result(); enough(r) {
			return r
		}
		select {
		case <-changed:
			continue
		case <-p.done:
		case <-p.node.closed:
			p.nodeEnded()
		case <-ctx.Done():
		}
		return p.Result()
	}
}

// settle makes r the final result, unless there is one.
func (p *Pending[R]) settle(r R) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.result = r
		p.end()
	}
}

// nodeEnded makes final what is known of a message that the node has left behind.
func (p *Pending[R]) nodeEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.end()
	}
}

// follow says where the result grows.
func (p *Pending[R]) follow(from progress[R]) {
	p.mu.Lock()
	p.from = from
	p.mu.Unlock()
	p.change()
}

// change lets those who wait look again.
func (p *Pending[R]) change() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == nil {
		return // not accepted yet: follow will look
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	if !p.ended && p.from.Ended() {
		p.end()
	}
}

// nextChange returns a channel that is closed at the next change.
func (p *Pending[R]) nextChange() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// end closes done; the caller holds mu.
func (p *Pending[R]) end() {
	p.ended = true
	close(p.done)
}
