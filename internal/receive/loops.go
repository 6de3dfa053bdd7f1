package receive

import (
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Loops has the backlog of all loops. The zero value works.
type Loops struct {
	mu       sync.Mutex
	backlogs map[string]*Backlog // by topic
	finished bool
}

// Registering registers the actor that fills a backlog, and has ended called with its end.
type Registering func(fill func() actor.Actor, ended func()) error

// Open returns the backlog of a topic, or of messages without one. It registers the actor that fills the backlog, unless that was
// done. A node that is stopping registers none.
func (l *Loops) Open(topic string, stopping func() bool, register Registering) (*Backlog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.backlogs[topic]
	if b != nil && (!b.over() || stopping()) {
		return b, nil
	}
	b = new(Backlog)
	if l.finished {
		b.finish()
		return b, nil
	}
	err := register(func() actor.Actor { return &filler{b} }, b.discard)
	if err == nil {
		if l.backlogs == nil {
			l.backlogs = make(map[string]*Backlog)
		}
		l.backlogs[topic] = b
	}
	return b, err
}

// Finish ends all loops when they have received what waits.
func (l *Loops) Finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finished = true
	for _, b := range l.backlogs {
		b.finish()
	}
}

// filler is the handler of plain messages that hands them to loops.
//
// In: Received. A restart loses nothing: the backlog outlives it.
type filler struct{ b *Backlog }

func (a *filler) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.Received); ok {
		a.b.put(plain(m))
		return
	}
	supervisor.Unhandled(c)
}

// String is the actor's line in the tree.
func (a *filler) String() string { return fmt.Sprintf("for loops, %d waiting", a.b.len()) }
