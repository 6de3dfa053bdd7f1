package outlast

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

// ackEvery is how many messages are written before they are acknowledged, at most.
const ackEvery = 256

// The system does not tell when a reader takes something. While written messages are not
// taken, the acknowledger looks after leastLook, then less and less often.
const (
	leastLook = time.Millisecond
	mostLook  = 100 * time.Millisecond
)

// takeGrace is how long the reader has to take what is written when the user has ended the
// command.
const takeGrace = time.Second

// acknowledger acknowledges the messages that the reader has taken, on its own goroutine, so
// that the next ones are written meanwhile. Messages taken during one acknowledgement go with
// the next one, in one sync of the node's disk. The node limits their number: it sends no more
// messages until some are acknowledged.
type acknowledger struct {
	client *client.Client
	out    Sink
	open   *written // not acknowledged, also over earlier connections
	failed func()   // called once, when no more is acknowledged
	more   chan struct{}
	ended  chan struct{} // no more is written
	broken bool          // the output cannot be written any more, or the node is gone; set before ended
	done   chan error
	next   []writtenMessage // not flushed

	mu      sync.Mutex
	written []writtenMessage // not acknowledged yet
}

// written are the messages that were written and that the node has not acknowledged. A message
// is known by its number and its arrival: a node with another store numbers anew.
type written struct {
	mu  sync.Mutex
	all map[uint64]time.Time // from number to arrival
}

func newWritten() *written { return &written{all: make(map[uint64]time.Time)} }

func (w *written) add(seq uint64, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[seq] = at
}

func (w *written) has(seq uint64, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, ok := w.all[seq]
	return ok && was.Equal(at)
}

func (w *written) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all)
}

// acknowledged removes messages.
func (w *written) acknowledged(seqs []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, seq := range seqs {
		delete(w.all, seq)
	}
}

// writtenMessage is a message, and how much of the output is taken once the reader has it.
type writtenMessage struct {
	seq uint64
	end int64
}

// NotAcknowledged is the kind of the failure when the node has not acknowledged what was written.
const NotAcknowledged = "not_acknowledged"

func newAcknowledger(ctx context.Context, c *client.Client, out Sink, open *written, failed func()) *acknowledger {
	a := &acknowledger{
		client: c, out: out, open: open, failed: failed,
		more: make(chan struct{}, 1), ended: make(chan struct{}), done: make(chan error, 1),
	}
	go func() { a.done <- a.run(ctx) }()
	return a
}

// run acknowledges until everything is taken after the end, or nothing more will be.
func (a *acknowledger) run(ctx context.Context) error {
	ended, look := a.ended, time.Duration(0)
	over, grace := ctx.Done(), (<-chan time.Time)(nil)
	for {
		list, left, gone := a.taken()
		if len(list) > 0 {
			look = 0
			if err := a.post(ctx, list); err != nil {
				a.failed()
				return err
			}
			continue
		}
		switch {
		case gone:
			a.failed()
			return syscall.EPIPE
		case ended == nil && (left == 0 || a.broken): // what a broken output has not taken now, nobody will
			return nil
		}
		var again <-chan time.Time
		if left > 0 {
			look = min(max(2*look, leastLook), mostLook)
			again = time.After(look)
		}
		select {
		case <-a.more:
			look = 0
		case <-ended:
			ended = nil
		case <-over:
			over, grace = nil, time.After(takeGrace)
		case <-grace:
			return ctx.Err()
		case <-again:
		}
	}
}

// taken removes the messages that the reader has taken, and returns them. Left is how many
// others are written.
func (a *acknowledger) taken() (seqs []uint64, left int, gone bool) {
	n, gone := a.out.Taken()
	a.mu.Lock()
	defer a.mu.Unlock()
	i := 0
	for ; i < len(a.written) && a.written[i].end <= n; i++ {
		seqs = append(seqs, a.written[i].seq)
	}
	if a.written = a.written[i:]; len(a.written) == 0 {
		a.written = nil
	}
	return seqs, len(a.written), gone
}

// add notes a message of which the last byte is at most number end of the output.
func (a *acknowledger) add(seq uint64, at time.Time, end int64) {
	a.open.add(seq, at)
	a.next = append(a.next, writtenMessage{seq, end})
}

// flushed reports that all noted messages are written.
func (a *acknowledger) flushed() {
	if len(a.next) == 0 {
		return
	}
	a.mu.Lock()
	a.written = append(a.written, a.next...)
	a.mu.Unlock()
	a.next = a.next[:0]
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// end waits until the reader has taken everything and the node has acknowledged it, or until
// the reader or the command has ended, and not at all if broken is set. Call it once, when
// nothing more is written.
func (a *acknowledger) end(ctx context.Context, broken bool) error {
	a.broken = broken
	a.flushed() // also what a failed flush has written in part
	close(a.ended)
	err := <-a.done
	if list, _, _ := a.taken(); len(list) > 0 { // what was counted only after run had looked
		if failed := a.post(ctx, list); err == nil {
			err = failed
		}
	}
	return err
}

// post acknowledges messages, also when the user has ended the command.
func (a *acknowledger) post(ctx context.Context, seqs []uint64) error {
	if err := a.client.Acknowledge(context.WithoutCancel(ctx), seqs...); err != nil {
		return failure.New(NotAcknowledged, "they come again with the next gamelan listen", "the last messages were written, but not acknowledged").Because(err)
	}
	a.open.acknowledged(seqs)
	return nil
}
