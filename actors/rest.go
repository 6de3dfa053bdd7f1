package actors

import (
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// rest lets a substream wait for its next bytes without a task, whose stack is
// most of what an idle substream costs. The task that reads ends with errResting
// and leaves the substream open; when something arrives, the actor hears
// arrival and starts another one.
type rest struct {
	stream quietStream
	heard  func() // sends arrival; may be called by anybody

	// Of the actor.
	resting bool // there is no task
	called  bool // arrival came before the task's end

	mu      sync.Mutex
	waiting bool // the task waits for bytes, with nothing in hand
	waits   int  // how often it has
	seen    int  // waits, at the last interrupt
	asked   bool // its wait was ended
	open    bool // it has left the substream open
}

// quietStream is a substream whose reading can be bounded in time and left off.
type quietStream interface {
	protocol.Stream
	SetReadDeadline(time.Time) error
	Notify(func())
}

// arrival says that something came on the substream that the task of this name
// reads.
type arrival struct{ name string }

var errResting = errors.New("actors: nothing arrives")

// newRest is for the substream that tasks of this name read.
func newRest(c actor.Context, name string, stream quietStream) *rest {
	tell := supervisor.Teller(c)
	return &rest{stream: stream, heard: func() { tell(arrival{name}) }}
}

// Close is for the task's end: it closes the substream unless that rests.
func (r *rest) Close() error {
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	if open {
		return nil
	}
	return r.stream.Close()
}

// wakes prepares for another task.
func (r *rest) wakes() {
	r.resting, r.called = false, false
	r.mu.Lock()
	r.open = false
	r.mu.Unlock()
}

// rests notes the end of a task with errResting. It reports whether there has to
// be another one at once.
func (r *rest) rests() (called bool) {
	r.resting = true
	return r.called
}

// arrives reports whether an arrival wants a task.
func (r *rest) arrives() bool {
	r.called = true
	return r.resting
}

// interrupt ends a wait that has lasted since the last interrupt.
func (r *rest) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting && r.waits == r.seen {
		r.asked = true
		r.stream.SetReadDeadline(Expired)
	}
	r.seen = r.waits
}

// begin and end surround a wait of the task; end reports whether it was
// interrupted.
func (r *rest) begin() {
	r.mu.Lock()
	r.waiting = true
	r.waits++
	r.mu.Unlock()
}

func (r *rest) end() (asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, r.asked, r.waiting = r.asked, false, false
	return asked
}

// leave is the last act of a task that has called Notify and then found nothing.
func (r *rest) leave() error {
	r.mu.Lock()
	r.open = true
	r.mu.Unlock()
	return errResting
}
