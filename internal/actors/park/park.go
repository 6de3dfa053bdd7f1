// Package park lets a substream of a peer wait for its next bytes without a task. The stack of a
// task is most of the memory of an idle substream.
package park

import (
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Parker is the waiting of one substream. The reading task ends with ErrParked and leaves the
// substream open. When bytes arrive, the actor receives Arrival and starts another task.
type Parker struct {
	Stream Stream
	heard  func() // sends Arrival to the actor; may be called from any goroutine

	// Only the actor uses these two.
	parked bool // no task runs
	called bool // Arrival came before the end of the task

	mu      sync.Mutex
	waiting bool // the task is between Begin and End: it waits for a message
	waits   int  // how often the task has waited
	seen    int  // value of waits at the last call of Interrupt
	asked   bool // Interrupt has ended this wait
	open    bool // the task has left the substream open
}

// Stream is a substream with a read deadline and a callback for the arrival of
// bytes.
type Stream interface {
	protocol.Stream
	SetReadDeadline(time.Time) error
	Notify(take func() bool, f func())
	TryRead([]byte) (n int, ok bool)
	PeerEnded() (pongs uint64, ended bool)
}

// Arrival reports that bytes or the end have come on the substream that the task of
// this name reads.
type Arrival struct{ Name string }

// Expired is a deadline in the past. Setting it interrupts a blocked read or write.
var Expired = time.Unix(1, 0)

// ErrParked ends a task that has left its substream open.
var ErrParked = errors.New("park: nothing arrives")

// New returns the parker of a substream that tasks of this name read.
func New(c actor.Context, name string, stream Stream) *Parker {
	tell := supervisor.Teller(c)
	return &Parker{Stream: stream, heard: func() { tell(Arrival{name}) }}
}

// Close closes the substream unless it is parked. It is called when the task ends.
func (p *Parker) Close() error {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	if open {
		return nil
	}
	return p.Stream.Close()
}

// Unpark prepares for another task.
func (p *Parker) Unpark() {
	p.parked, p.called = false, false
	p.mu.Lock()
	p.open = false
	p.mu.Unlock()
}

// ParkedNow records that a task has ended with ErrParked. It reports whether bytes
// have arrived meanwhile, so that another task must start at once.
func (p *Parker) ParkedNow() (called bool) {
	p.parked = true
	return p.called
}

// Arrives records an arrival. It reports whether the substream is parked, so that a
// task must start.
func (p *Parker) Arrives() bool {
	p.called = true
	return p.parked
}

// Parked reports whether no task runs.
func (p *Parker) Parked() bool { return p.parked }

// Interrupt ends a wait that has lasted since the last call of Interrupt.
func (p *Parker) Interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting && p.waits == p.seen {
		p.asked = true
		p.Stream.SetReadDeadline(Expired)
	}
	p.seen = p.waits
}

// Begin and End surround a wait of the task. End reports whether Interrupt has ended
// the wait.
func (p *Parker) Begin() {
	p.mu.Lock()
	p.waiting = true
	p.waits++
	p.mu.Unlock()
}

func (p *Parker) End() (asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, p.asked, p.waiting = p.asked, false, false
	return asked
}

// Listen has the actor receive an Arrival for what comes from now on, once. Ignore undoes that.
func (p *Parker) Listen() { p.Stream.Notify(nil, p.heard) }

// ListenUnless is Listen, unless take takes what comes, see Notify of the stream.
func (p *Parker) ListenUnless(take func() bool) { p.Stream.Notify(take, p.heard) }

// Ignore has the actor receive no Arrival, unless one is under way.
func (p *Parker) Ignore() { p.Stream.Notify(nil, nil) }

// Park marks the substream as left open and returns ErrParked. A task calls it last,
// after it has called Notify or Listen and then found nothing to read.
func (p *Parker) Park() error {
	p.mu.Lock()
	p.open = true
	p.mu.Unlock()
	return ErrParked
}
