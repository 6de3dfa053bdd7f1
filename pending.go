package gamelan

import (
	"context"
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Pending is a message that was accepted and whose result may be open. R is the type of
// the result: [Outcome] for a message to a neighbour, [dht.Report] for a message over the
// DHT. The methods may be called from any goroutine, any number of times.
type Pending[R any] struct {
	node *Node

	// A message is withdrawn by its peer and serial. Serial is 0 if it cannot be.
	peer   identity.NodeID
	serial uint64
	part   bool // the part of messages with outcomes has it

	done chan struct{} // closed when the result is final

	mu      sync.Mutex
	ended   bool          // done is closed
	result  R             // the final result, if from is nil; until ended, the result if the node ends first
	from    progress[R]   // holds a result that grows; nil: there is only the final result
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

// Result returns the result so far. For a message to a neighbour it is the zero [Outcome]
// until the result is final. For a message over the DHT it is a report with the outcomes so
// far.
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

// Wait waits for the final result. If ctx ends first, a message to a neighbour is
// withdrawn, and its outcome is Failed(expired) or InDoubt(expired). A message over the
// DHT goes on within its limit, and Wait returns the result so far.
func (p *Pending[R]) Wait(ctx context.Context) R {
	select {
	case <-p.done:
		return p.Result()
	case <-p.node.e.Closed:
	case <-ctx.Done():
		if p.serial == 0 {
			return p.Result()
		}
		if p.part {
			p.node.e.Outcomes.Withdraw(p.serial)
		} else {
			p.node.e.Trunk.Plain().Withdraw(p.peer, p.serial)
		}
		select {
		case <-p.done:
			return p.Result()
		case <-p.node.e.Closed:
		}
	}
	p.nodeEnded()
	return p.Result()
}

// WaitFor waits until enough returns true for the result so far, the result is final, or
// ctx ends. It returns the result so far and withdraws nothing. Package dht has conditions
// for reports, such as [dht.ConfirmedBy].
func (p *Pending[R]) WaitFor(ctx context.Context, enough func(R) bool) R {
	for {
		changed := p.nextChange() // before the call of Result, so that no change is missed
		if r := p.Result(); enough(r) {
			return r
		}
		select {
		case <-changed:
			continue
		case <-p.done:
		case <-p.node.e.Closed:
			p.nodeEnded()
		case <-ctx.Done():
		}
		return p.Result()
	}
}

// settle makes r the final result, unless there is one already.
func (p *Pending[R]) settle(r R) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.result = r
		p.end()
	}
}

// nodeEnded makes the result so far final, because the node has ended.
func (p *Pending[R]) nodeEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.end()
	}
}

// follow sets the source of a result that grows.
func (p *Pending[R]) follow(from progress[R]) {
	p.mu.Lock()
	p.from = from
	p.mu.Unlock()
	p.change()
}

// change wakes the goroutines that wait for a change, and ends p if the result is final.
func (p *Pending[R]) change() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == nil {
		return // not accepted yet: follow calls change again
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

// OutcomeKind is how one send to one peer ended; Reason is why, unless it is
// [Confirmed].
type (
	OutcomeKind = protocol.OutcomeKind
	Reason      = protocol.Reason
)

// The kinds of outcomes.
const (
	// Confirmed: the peer's multiplexer has read the message. It does not mean that
	// the peer's application has handled it, unless the message was sent with [Handled].
	Confirmed = protocol.Confirmed
	// InDoubt: the message was written, but the proof that the peer read it did not
	// come.
	InDoubt = protocol.InDoubt
	// Failed: the message was never written. Or the peer said that it has not handled it, and will not.
	Failed = protocol.Failed
)

// The reasons for an outcome [InDoubt] or [Failed].
const (
	ReasonNone     = protocol.ReasonNone
	NoPeer         = protocol.NoPeer         // no peer with that id is known
	Banned         = protocol.Banned         // the peer is banned
	NotAdmitted    = protocol.NotAdmitted    // this node has no connections with the peer, which is not listed
	DialFailed     = protocol.DialFailed     // no address of the peer could be reached
	Refused        = protocol.Refused        // the peer does not take this protocol, or ends each connection while it is set up
	TooLong        = protocol.TooLong        // the message is above the limit
	Overloaded     = protocol.Overloaded     // no credit left at this node
	Expired        = protocol.Expired        // the time limit or the context ended first
	Closed         = protocol.Closed         // the node is closing
	ConnectionLost = protocol.ConnectionLost // the connection ended before the proof; only with InDoubt
	NotTaken       = protocol.NotTaken       // the peer is connected and ends every substream on which this node sends messages
)
