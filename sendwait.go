package gamelan

import (
	"context"
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
)

// sendWaits has the calls of Send that wait for outcomes. A call waits on one channel: the end
// of the node comes as an outcome, and the end of its context withdraws the message, which
// settles it. Each node has its own sendWaits, so that no channel of one synctest bubble gets
// into another.
type sendWaits struct {
	withdraw func(peer identity.NodeID, serial uint64)
	pool     sync.Pool
	shards   [16]sendShard // by serial: thousands of callers would fight for one lock
}

// sendWait is what one Send waits with. Unlike a [Pending] it serves one goroutine, and
// others after it.
type sendWait struct {
	outcome chan Outcome  // has room for an outcome and the end of the node, so that neither blocks
	settle  func(Outcome) // called at most once for each message

	sent
	at   int             // the place in the list of its shard
	ends <-chan struct{} // Done of its context, if the shard watches that for it
}

// sent is what a message is withdrawn by.
type sent struct {
	peer   identity.NodeID
	serial uint64
}

func (p *sendWaits) get() *sendWait {
	if w, ok := p.pool.Get().(*sendWait); ok {
		return w
	}
	w := &sendWait{outcome: make(chan Outcome, 2)}
	w.settle = func(o Outcome) { w.outcome <- o }
	return w
}

// put takes back a sendWait whose settle was called and whose outcome was received, or that
// was given to nobody.
func (p *sendWaits) put(w *sendWait) { p.pool.Put(w) }

// wait waits for the outcome of a message that was accepted. If ctx ends first, the message
// is withdrawn, which settles it. What was settled before the end of the node stands.
func (p *sendWaits) wait(ctx context.Context, w *sendWait, peer identity.NodeID, serial uint64) (o Outcome) {
	w.sent = sent{peer, serial}
	s := &p.shards[serial%uint64(len(p.shards))]
	if done := s.enter(ctx, w, p.withdraw); done == nil {
		o = <-w.outcome
	} else {
		select {
		case o = <-w.outcome:
		case <-done:
			p.withdraw(peer, serial)
			o = <-w.outcome
		}
	}
	if s.leave(w) {
		p.put(w)
	}
	return o
}

// close gives all calls that wait, now or later, the end of the node.
func (p *sendWaits) close() {
	for i := range p.shards {
		p.shards[i].close()
	}
}

// sendShard has some of the calls that wait. It watches one context for all calls that have it,
// which is cheaper than a select in each. For a context of a single call it is not. So a shard
// watches a context that comes twice in a row, once the calls with the one before it have left.
// It keeps at most one context for which no call waits.
type sendShard struct {
	mu    sync.Mutex
	ended bool // the node has ended
	calls []*sendWait

	watched  <-chan struct{} // Done of the context that is watched; nil: none
	unwatch  func() bool
	watching int             // how many calls have left the watching to the shard
	last     <-chan struct{} // Done of the last context that was not watched
}

// enter adds a call. It returns ctx.Done() if the call has to watch ctx itself, otherwise nil.
func (s *sendShard) enter(ctx context.Context, w *sendWait, withdraw func(identity.NodeID, uint64)) <-chan struct{} {
	done := ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		w.outcome <- nodeEnded
		return nil
	}
	w.at = len(s.calls)
	s.calls = append(s.calls, w)
	switch {
	case done == nil:
		return nil
	case done == s.watched:
	case done == s.last && s.watching == 0:
		s.watch(done, context.AfterFunc(ctx, func() {
			for _, m := range s.over(done) {
				withdraw(m.peer, m.serial)
			}
		}))
	default:
		s.last = done
		return done
	}
	w.ends = done
	s.watching++
	return nil
}

// watch replaces the context that is watched. The caller holds the lock.
func (s *sendShard) watch(done <-chan struct{}, unwatch func() bool) {
	if s.watched != nil {
		s.unwatch()
	}
	s.watched, s.unwatch = done, unwatch
}

// over ends the watching of a context that has ended. It returns the messages of the calls that
// have left the watching to the shard.
func (s *sendShard) over(done <-chan struct{}) (all []sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.calls {
		if w.ends == done {
			all = append(all, w.sent)
		}
	}
	if s.watched == done {
		s.watch(nil, nil) // a call that comes now sees the end itself
	}
	return all
}

// leave removes a call that has its outcome. It returns false if the call's sendWait may get
// another outcome, because the node has ended.
func (s *sendShard) leave(w *sendWait) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	last := len(s.calls) - 1
	s.calls[w.at] = s.calls[last]
	s.calls[w.at].at = w.at
	s.calls[last] = nil
	s.calls = s.calls[:last]
	if w.ends != nil {
		w.ends = nil
		s.watching--
	}
	return true
}

func (s *sendShard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, w := range s.calls {
		w.outcome <- nodeEnded
	}
	s.calls = nil
	s.watch(nil, nil)
}
