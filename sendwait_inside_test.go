package gamelan

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// fakeNode has messages that are settled by the test, or in doubt when they are withdrawn.
type fakeNode struct {
	waits sendWaits

	mu   sync.Mutex
	last uint64
	open map[uint64]func(Outcome)
	got  map[uint64]Outcome // what send has returned
}

func newFakeNode() *fakeNode {
	n := &fakeNode{open: make(map[uint64]func(Outcome)), got: make(map[uint64]Outcome)}
	n.waits.withdraw = func(_ identity.NodeID, serial uint64) { n.settle(serial, protocol.InDoubt) }
	return n
}

// outcomeOf returns an outcome that says whose it is.
func outcomeOf(serial uint64, kind OutcomeKind) Outcome {
	return Outcome{Kind: kind, Err: fakeError(serial)}
}

type fakeError uint64

func (e fakeError) Error() string { return fmt.Sprintf("of message %d", uint64(e)) }

func (n *fakeNode) settle(serial uint64, kind OutcomeKind) {
	n.mu.Lock()
	settle, ok := n.open[serial]
	delete(n.open, serial)
	n.mu.Unlock()
	if ok {
		settle(outcomeOf(serial, kind))
	}
}

// accept makes a message.
func (n *fakeNode) accept() (*sendWait, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.waits.get()
	n.last++
	n.open[n.last] = w.settle
	return w, n.last
}

func (n *fakeNode) wait(ctx context.Context, w *sendWait, serial uint64) Outcome {
	o := n.waits.wait(ctx, w, identity.NodeID{}, serial)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got[serial] = o
	return o
}

// send starts calls, two for each shard, and returns the serials of their messages.
func (n *fakeNode) send(ctx context.Context) (serials []uint64) {
	for range 2 * len(n.waits.shards) {
		w, serial := n.accept()
		serials = append(serials, serial)
		go n.wait(ctx, w, serial)
		synctest.Wait()
	}
	return serials
}

// want checks which outcomes have come since the last call.
func (n *fakeNode) want(t *testing.T, what string, kind OutcomeKind, serials ...uint64) {
	t.Helper()
	synctest.Wait()
	want := make(map[uint64]Outcome)
	for _, serial := range serials {
		if want[serial] = outcomeOf(serial, kind); kind == 0 {
			want[serial] = nodeEnded
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !maps.Equal(n.got, want) {
		t.Errorf("%s: got %v, want %v", what, n.got, want)
	}
	clear(n.got)
}

// ownContext is a context that is none of package context. It counts the functions that wait
// for its end.
type ownContext struct {
	context.Context
	functions *atomic.Int64
}

func (ownContext) Value(any) any { return nil }

func (c ownContext) AfterFunc(f func()) func() bool {
	c.functions.Add(1)
	stop := context.AfterFunc(c.Context, func() {
		c.functions.Add(-1)
		f()
	})
	return func() bool {
		stopped := stop()
		if stopped {
			c.functions.Add(-1)
		}
		return stopped
	}
}

// TestSendWaits has calls wait with contexts that many of them have, in turn, with contexts of
// their own and without any. The end of a context withdraws its messages and no others; the end
// of the node ends all other calls.
func TestSendWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, functions := newFakeNode(), new(atomic.Int64)
		most := int64(len(n.waits.shards))
		first, endFirst := context.WithCancel(t.Context())
		second, endSecond := context.WithCancel(t.Context())
		first, second = ownContext{first, functions}, ownContext{second, functions}

		never := n.send(context.Background())
		ofFirst := n.send(first)
		if got := functions.Load(); got != most {
			t.Errorf("with one context: got %d functions, want %d", got, most)
		}
		ofSecond := n.send(second)
		ofFirst = append(ofFirst, n.send(first)...)
		ofSecond = append(ofSecond, n.send(second)...)
		own, endOwn := context.WithCancel(t.Context())
		w, ofOwn := n.accept()
		go n.wait(own, w, ofOwn)
		n.want(t, "before all", protocol.InDoubt)

		n.settle(ofFirst[0], protocol.Confirmed)
		n.want(t, "settled", protocol.Confirmed, ofFirst[0])
		endOwn()
		n.want(t, "end of the context of one call", protocol.InDoubt, ofOwn)
		endFirst()
		n.want(t, "end of the first context", protocol.InDoubt, ofFirst[1:]...)
		n.want(t, "again with the first context", protocol.InDoubt, n.send(first)...)
		n.want(t, "and again", protocol.InDoubt, n.send(first)...)
		ofSecond = append(ofSecond, n.send(second)...)
		endSecond()
		n.want(t, "end of the second context", protocol.InDoubt, ofSecond...)
		if got := functions.Load(); got != 0 {
			t.Errorf("got %d functions of contexts that have ended, want none", got)
		}

		third, endThird := context.WithCancel(t.Context())
		defer endThird()
		third = ownContext{third, functions}
		ofThird := n.send(third)
		for i := range n.waits.shards {
			if late := n.waits.shards[i].over(first.Done()); late != nil {
				t.Errorf("the end of the first context once more: got %v, want nothing", late)
			}
		}
		settled, before := n.accept()
		n.settle(before, protocol.Confirmed)
		n.waits.close()
		n.want(t, "end of the node", 0, append(never, ofThird...)...)
		if got := functions.Load(); got != 0 {
			t.Errorf("got %d functions after the end of the node, want none", got)
		}
		n.want(t, "after the end of the node", 0, n.send(third)...)
		n.wait(third, settled, before)
		n.want(t, "settled before the end of the node", protocol.Confirmed, before)
	})
}

// TestSendWaitsAfterTheEnd settles messages after the node has ended: no other call gets that.
func TestSendWaitsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNode()
		var used []*sendWait
		for range 100 {
			w, serial := n.accept()
			used = append(used, w)
			go n.wait(context.Background(), w, serial)
		}
		synctest.Wait()
		n.waits.close()
		synctest.Wait()
		for serial := range n.last {
			n.settle(serial+1, protocol.Confirmed)
		}
		for range used {
			w := n.waits.get()
			select {
			case o := <-w.outcome:
				t.Fatalf("got %v before anything was settled", o)
			default:
			}
		}
	})
}

// TestSendWaitsForget has 10,000 contexts: of one call each, and of as many calls that one
// shard gets several. None is kept but the last ones.
func TestSendWaitsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, functions := newFakeNode(), new(atomic.Int64)
		send := func(calls int) {
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			for range calls {
				w, serial := n.accept()
				n.settle(serial, protocol.Confirmed)
				n.wait(ownContext{ctx, functions}, w, serial)
			}
		}
		for range 10_000 {
			send(1)
		}
		if got := functions.Load(); got != 0 {
			t.Errorf("contexts of one call each: got %d functions, want none", got)
		}
		most := len(n.waits.shards)
		for range 1000 {
			send(3 * most)
		}
		if got := functions.Load(); got != int64(most) {
			t.Errorf("contexts of many calls: got %d functions, want %d", got, most)
		}
		for i := range n.waits.shards {
			if s := &n.waits.shards[i]; len(s.calls) != 0 || s.watching != 0 {
				t.Errorf("shard %d: got %d calls and %d of a watched context, want none", i, len(s.calls), s.watching)
			}
		}
		n.waits.close()
		if got := functions.Load(); got != 0 {
			t.Errorf("after the end of the node: got %d functions, want none", got)
		}
	})
}

// TestSendWaitsAtRandom has messages settled and contexts ended at any moment, and at last the
// node. Every call returns, with an outcome of its own message.
func TestSendWaitsAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			callers, each = 64, 400
			closeAt       = callers * each * 3 / 4 // the serial of the message with which the node ends
			share         = 400                    // so many calls in a row have one context
		)
		n := newFakeNode()
		var closed atomic.Bool
		var shared []context.Context
		var ends []func()
		for range callers*each/share + 1 {
			ctx, end := context.WithCancel(t.Context())
			shared, ends = append(shared, ctx), append(ends, end)
		}
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					w, serial := n.accept()
					ctx, cancel := shared[serial/share], func() {}
					if rand.IntN(10) == 0 {
						ctx, cancel = context.WithCancel(t.Context())
						go cancel()
					}
					if rand.IntN(20) > 0 { // otherwise only the end of its context settles it, or of the node
						go n.settle(serial, protocol.Confirmed)
					}
					if serial%share == share/2 {
						go ends[serial/share]()
					}
					if serial == closeAt {
						closed.Store(true)
						go n.waits.close()
					}
					o := n.waits.wait(ctx, w, identity.NodeID{}, serial)
					cancel()
					if o.Err != fakeError(serial) && (o != nodeEnded || !closed.Load()) {
						t.Errorf("message %d: got %v", serial, o)
					}
				}
			})
		}
		wg.Wait()
	})
}
