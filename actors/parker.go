package actors

import (
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// parker lets a substream wait for its next bytes without a task, whose stack is
// most of what an idle substream costs. The task that reads ends with errParked
// and leaves the substream open. When bytes arrive, the actor hears arrival and
// starts another task.
type parker struct {
	stream quietStream
	heard  func() // sends arrival; may be called by anybody

	// Of the actor.
	parked bool // there is no task
	called bool // arrival came before the task's end

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

var errParked = errors.New("actors: nothing arrives")

// newParker is for the substream that tasks of this name read.
func newParker(c actor.Context, name string, stream quietStream) *parker {
	tell := supervisor.Teller(c)
	return &parker{stream: stream, heard: func() { tell(arrival{name}) }}
}

// Close is for the task's end: it closes the substream unless it is parked.
func (p *parker) Close() error {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	if open {
		return nil
	}
	return p.stream.Close()
}

// unpark prepares for another task.
func (p *parker) unpark() {
	p.parked, p.called = false, false
	p.mu.Lock()
	p.open = false
	p.mu.Unlock()
}

// parkedNow notes the end of a task with errParked. It reports whether there has to
// be another one at once.
func (p *parker) parkedNow() (called bool) {
	p.parked = true
	return p.called
}

// arrives reports whether an arrival wants a task.
func (p *parker) arrives() bool {
	p.called = true
	return p.parked
}

// interrupt ends a wait that has lasted since the last interrupt.
func (p *parker) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting && p.waits == p.seen {
		p.asked = true
		p.stream.SetReadDeadline(Expired)
	}
	p.seen = p.waits
}

// begin and end surround a wait of the task; end reports whether it was
// interrupted.
func (p *parker) begin() {
	p.mu.Lock()
	p.waiting = true
	p.waits++
	p.mu.Unlock()
}

func (p *parker) end() (asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, p.asked, p.waiting = p.asked, false, false
	return asked
}

// park is the last act of a task that has called Notify and then found nothing.
func (p *parker) park() error {
	p.mu.Lock()
	p.open = true
	p.mu.Unlock()
	return errParked
}
