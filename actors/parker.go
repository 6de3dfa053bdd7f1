package actors

import (
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// parker lets a substream wait for its next bytes without a task. The stack of a task
// is most of the memory of an idle substream. The reading task ends with errParked and
// leaves the substream open. When bytes arrive, the actor receives arrival and starts
// another task.
type parker struct {
	stream quietStream
	heard  func() // sends arrival to the actor; may be called from any goroutine

	// Only the actor uses these two.
	parked bool // no task runs
	called bool // arrival came before the end of the task

	mu      sync.Mutex
	waiting bool // the task is between begin and end: it waits for a message
	waits   int  // how often the task has waited
	seen    int  // value of waits at the last call of interrupt
	asked   bool // interrupt has ended this wait
	open    bool // the task has left the substream open
}

// quietStream is a substream with a read deadline and a callback for the arrival of
// bytes.
type quietStream interface {
	protocol.Stream
	SetReadDeadline(time.Time) error
	Notify(func())
	NotifyUnless(take func() bool, f func())
	TryRead([]byte) (n int, ok bool)
	PeerEnded() (pongs uint64, ended bool)
}

// arrival reports that bytes or the end have come on the substream that the task of
// this name reads.
type arrival struct{ name string }

var errParked = errors.New("actors: nothing arrives")

// newParker returns the parker of a substream that tasks of this name read.
func newParker(c actor.Context, name string, stream quietStream) *parker {
	tell := supervisor.Teller(c)
	return &parker{stream: stream, heard: func() { tell(arrival{name}) }}
}

// Close closes the substream unless it is parked. It is called when the task ends.
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

// parkedNow records that a task has ended with errParked. It reports whether bytes
// have arrived meanwhile, so that another task must start at once.
func (p *parker) parkedNow() (called bool) {
	p.parked = true
	return p.called
}

// arrives records an arrival. It reports whether the substream is parked, so that a
// task must start.
func (p *parker) arrives() bool {
	p.called = true
	return p.parked
}

// interrupt ends a wait that has lasted since the last call of interrupt.
func (p *parker) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting && p.waits == p.seen {
		p.asked = true
		p.stream.SetReadDeadline(Expired)
	}
	p.seen = p.waits
}

// begin and end surround a wait of the task. end reports whether interrupt has ended
// the wait.
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

// park marks the substream as left open and returns errParked. A task calls it last,
// after it has called Notify and then found nothing to read.
func (p *parker) park() error {
	p.mu.Lock()
	p.open = true
	p.mu.Unlock()
	return errParked
}
