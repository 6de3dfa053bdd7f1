package credit

import (
	"sync"
	"sync/atomic"
)

// Overhead is what one body costs beside its length, in bytes: the message,
// its place in a mailbox and its bookkeeping.
const Overhead = 256

// DefaultNode is the credit of a whole node, both directions together, in bytes.
const DefaultNode = 256 << 20

// DefaultPeer is the credit of one peer in one direction, in bytes.
const DefaultPeer = 1 << 20

// Cost returns what a body of n bytes costs. It panics when n is negative.
func Cost(n int) int64 {
	if n < 0 {
		panic("credit: negative length")
	}
	return int64(n) + Overhead
}

// Large is the length of a body in bytes above which it draws on Frames, Calls or
// Messages of [NodeBudgets] until all of it has arrived.
const Large = 64 << 10

// NodeBudgets are the budgets of a node.
type NodeBudgets struct {
	Inbound     *Budget // bodies received and not yet handled
	Outbound    *Budget // bodies accepted for sending, without an outcome yet
	Unconnected *Budget // the part of Outbound that peers without a connection may hold
	Frames      *Budget // the part of Inbound for large frames of the DHT that are still arriving
	Calls       *Budget // the same for large frames of calls
	Plain       *Budget // the part of Inbound for plain messages
	Messages    *Budget // the part of Plain for large ones that are still arriving
}

// NewNodeBudgets divides total bytes: one half for each direction, so that
// neither starves the other, and of the outbound half at most one half for
// peers without a connection, so that dead peers do not starve the living.
//
// Plain messages may hold at most seven sixteenths of the inbound half. They wait
// for as long as their handler or a full inbox makes them, and calls and the DHT go
// on with the rest. Large frames that are still arriving may hold at most six
// sixteenths for plain messages, four for the DHT and three for calls. So a peer
// that announces large frames and sends them slowly delays only large frames of the
// same kind.
//
// spec: V15.
func NewNodeBudgets(total int64) NodeBudgets {
	in, out := NewBudget(total/2), NewBudget(total/2)
	sixteenth := in.limit / 16
	plain := in.Part(7 * sixteenth)
	return NodeBudgets{
		Inbound: in, Frames: in.Part(4 * sixteenth), Calls: in.Part(3 * sixteenth),
		Plain: plain, Messages: plain.Part(6 * sixteenth),
		Outbound: out, Unconnected: out.Part(total / 4),
	}
}

// Budget is credit that several accounts share. Its methods may be called from
// any goroutine.
type Budget struct {
	limit  int64
	parent *Budget // nil for a root
	queue  *queues // shared by a root and its parts

	// state is the bytes in use, shifted left by one. The lowest bit says that
	// accounts wait in line: then no other account may take before them, and every
	// return serves the line.
	state atomic.Int64

	first, last *Account // the line; guarded by queue.mu
}

// queues is the slow path of one root budget and its parts.
type queues struct {
	mu      sync.Mutex
	budgets []*Budget // in the order in which they are served: parts by age, then the root
	root    *Budget
}

// NewBudget returns a budget of that many bytes. A body that costs more than the
// whole budget is admitted when nothing else is held.
func NewBudget(bytes int64) *Budget {
	b := &Budget{limit: bytes}
	b.queue = &queues{root: b}
	return b
}

// Part returns a budget that is a part of b: credit taken from the part counts
// against b as well, and against the budget that b is a part of.
func (b *Budget) Part(bytes int64) *Budget {
	p := &Budget{limit: bytes, parent: b, queue: b.queue}
	b.queue.mu.Lock()
	b.queue.budgets = append(b.queue.budgets, p)
	b.queue.mu.Unlock()
	return p
}

// Used returns the bytes in use.
func (b *Budget) Used() int64 { return b.state.Load() >> 1 }

// Limit returns the size of the budget in bytes.
func (b *Budget) Limit() int64 { return b.limit }

// charge takes cost if it fits. While accounts wait in line, it takes only for the
// first of them, for which the caller sets inLine.
func (b *Budget) charge(cost int64, inLine bool) bool {
	for {
		old := b.state.Load()
		if old&1 != 0 && !inLine {
			return false
		}
		if used := old >> 1; used != 0 && used+cost > b.limit {
			return false
		}
		if b.state.CompareAndSwap(old, old+cost<<1) {
			return true
		}
	}
}

// release gives cost back and reports whether accounts wait for it.
func (b *Budget) release(cost int64) (waited bool) {
	return b.state.Add(-cost<<1)&1 != 0
}

// take charges b and all budgets that it is a part of, or none of them. waited
// reports that a charge was undone while accounts waited: the caller has to serve
// them.
func (b *Budget) take(cost int64) (ok, waited bool) {
	for at := b; at != nil; at = at.parent {
		if !at.charge(cost, false) {
			return false, b.releaseBelow(at, cost)
		}
	}
	return true, false
}

// giveBack is the reverse of take.
func (b *Budget) giveBack(cost int64) (waited bool) { return b.releaseBelow(nil, cost) }

// releaseBelow gives cost back to b and to the budgets that it is a part of, up to
// but without end. It reports whether accounts wait for it.
func (b *Budget) releaseBelow(end *Budget, cost int64) (waited bool) {
	for ; b != end; b = b.parent {
		if b.release(cost) {
			waited = true
		}
	}
	return waited
}

// within reports whether b is whole or a part of whole.
func (b *Budget) within(whole *Budget) bool {
	for ; b != nil; b = b.parent {
		if b == whole {
			return true
		}
	}
	return false
}
