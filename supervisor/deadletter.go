package supervisor

import (
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// office is what this package keeps for each ActorSystem: it discards what was
// sent to dead actors, and lends the processes behind Ask. Its place in the
// process registry makes sure that there is one.
type office struct {
	mu     sync.Mutex
	idle   []*asker
	askers int // ever made
}

var _ actor.Process = (*office)(nil)

const (
	officeID  = "$supervisor"
	idleAsker = 64 // askers kept for reuse
)

// officeOf returns the system's office and opens it if need be.
func officeOf(sys *actor.ActorSystem) *office {
	if p, ok := sys.ProcessRegistry.GetLocal(officeID); ok {
		return p.(*office)
	}
	o := new(office)
	if _, first := sys.ProcessRegistry.Add(o, officeID); !first {
		return officeOf(sys)
	}
	// The handler runs in the sender's turn; discard recovers.
	sys.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*actor.DeadLetterEvent); ok {
			discard(e.Message)
		}
	})
	return o
}

// lend returns an asker that is registered and ready.
func (o *office) lend(sys *actor.ActorSystem) *asker {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.idle); n > 0 {
		a := o.idle[n-1]
		o.idle = o.idle[:n-1]
		return a
	}
	for {
		o.askers++
		a := &asker{reply: make(chan any, 1)}
		if self, ok := sys.ProcessRegistry.Add(a, "ask$"+strconv.Itoa(o.askers)); ok {
			a.self = self
			return a
		}
	}
}

// takeBack keeps an asker for the next Ask.
func (o *office) takeBack(sys *actor.ActorSystem, a *asker) {
	o.mu.Lock()
	keep := len(o.idle) < idleAsker
	if keep {
		o.idle = append(o.idle, a)
	}
	o.mu.Unlock()
	if !keep {
		sys.ProcessRegistry.Remove(a.self)
	}
}

// SendUserMessage discards what somebody sent here by mistake.
func (*office) SendUserMessage(_ *actor.PID, message any) { discard(message) }

// SendSystemMessage does nothing.
func (*office) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: the office stays as long as its system.
func (*office) Stop(*actor.PID) {}
