package supervisor

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// office does the work of this package that belongs to an ActorSystem: it discards
// messages to dead actors, and lends the processes that receive the replies to
// Ask. It is registered as a process, so each system has exactly one.
type office struct {
	mu      sync.Mutex
	idle    []*asker
	askers  int              // made so far
	keepers map[string]*cell // with Spec.Keeps, by path; until their messages are discarded
	letters []DeadLetter     // the last ones, oldest first
}

// DeadLetter is a message to an actor that does not exist, or has ended.
type DeadLetter struct {
	At      time.Time
	Target  string // path of the actor
	Sender  string // path of the sender; "" is unknown
	Message string // type of the message
}

// deadLettersKept is how many dead letters a system remembers.
const deadLettersKept = 1000

// DeadLetters returns the last 1,000 messages of a system that have reached no actor, oldest first. It
// leaves out system messages and those of this package.
func DeadLetters(sys *actor.ActorSystem) []DeadLetter {
	o := officeOf(sys)
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.letters)
}

// note remembers a dead letter.
func (o *office) note(e *actor.DeadLetterEvent) {
	switch e.Message.(type) {
	case actor.SystemMessage, actor.IgnoreDeadLetterLogging:
		return
	}
	l := DeadLetter{At: time.Now(), Message: typeName(e.Message)}
	if e.PID != nil {
		l.Target = e.PID.Id
	}
	if e.Sender != nil {
		l.Sender = e.Sender.Id
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.letters) == deadLettersKept {
		o.letters = o.letters[1:]
	}
	o.letters = append(o.letters, l)
}

var _ actor.Process = (*office)(nil)

const (
	officeID  = "$supervisor"
	idleAsker = 64 // askers kept for reuse
)

// officeOf returns the system's office, a new one if there was none.
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
		if e, ok := event.(*actor.DeadLetterEvent); ok && !o.keep(e) {
			o.note(e)
			discard(e.Message)
		}
	})
	return o
}

// keeps notes that a cell with Spec.Keeps has begun, and has it inherit the messages of the
// one before, or that its messages were discarded.
func (o *office) keeps(c *cell, begins bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.keepers[c.path()]
	switch {
	case !begins && last == c:
		delete(o.keepers, c.path())
	case begins:
		if o.keepers == nil {
			o.keepers = make(map[string]*cell)
		}
		o.keepers[c.path()] = c
		if last != nil {
			last.bequeath(c)
		}
	}
}

// keep gives a dead letter to the actor of that path if it keeps its messages: the letter was
// sent while the actor's name was not in use. An asker hears of the dead letter at once. System
// messages belong to the actor that has ended.
func (o *office) keep(e *actor.DeadLetterEvent) bool {
	if _, system := e.Message.(actor.SystemMessage); system || e.Sender != nil || e.PID == nil {
		return false
	}
	o.mu.Lock()
	c := o.keepers[e.PID.Id]
	o.mu.Unlock()
	return c != nil && c.postKept(e.Message)
}

// lend returns a registered asker for one Ask.
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

// SendUserMessage discards the message: nobody has a reason to send one here.
func (*office) SendUserMessage(_ *actor.PID, message any) { discard(message) }

// SendSystemMessage does nothing.
func (*office) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: the office stays as long as its system.
func (*office) Stop(*actor.PID) {}
