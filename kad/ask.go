package kad

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ask asks a gateway to send a request. Reply to the actor reply: answer, exactly once; with
// slow there is another one before it when the soft limit has passed. Whatever becomes of
// the gateway, ask is answered: when no actor finishes it, Discard does.
type ask struct {
	core  *core
	ref   uint64
	to    Contact
	route Address
	msg   overlay.Message // without id and sender
	reply *actor.PID      // nil: nobody wants to know
	slow  bool
	once  bool // it is not repeated, also where datagrams get lost
	// probe says that the routing table wants to know, and candidate that it asks a node
	// that it does not have.
	candidate bool
}

// Discard tells the asker that the request is lost.
func (a *ask) Discard() {
	a.end(a.core.host.System(), answer{ref: a.ref, state: answerLost, why: "the gateway stopped"})
}

// IgnoreDeadLetterLogging: the asker learns of it.
func (a *ask) IgnoreDeadLetterLogging() {}

func (a *ask) end(sys *actor.ActorSystem, r answer) {
	if a.reply != nil {
		r.peer, r.at = a.to, a.route
		sys.Root.Send(a.reply, &r)
	}
}

// answer is what became of an ask.
type answer struct {
	ref    uint64
	state  answerState
	peer   Contact // who was asked; of an answer who answered
	at     Address // where it was asked last, of a request without an answer
	msg    *overlay.Message
	size   int
	took   time.Duration
	why    string
	err    error             // of a request that could not be sent
	source supervisor.Source // of an answer
	sys    *actor.ActorSystem
	to     *actor.PID
}

type answerState uint8

const (
	answerSlow answerState = iota + 1 // no answer yet
	answered                          // msg is the answer
	answerSent                        // the wire has no answers
	answerLost                        // there is none
)

// Source makes a panic on what the peer sent the peer's.
func (a *answer) Source() supervisor.Source { return a.source }

// IgnoreDeadLetterLogging: an asker that has ended misses nothing.
func (a *answer) IgnoreDeadLetterLogging() {}

// Discard tells the asker that its request is lost, if it panicked on the answer.
func (a *answer) Discard() {
	if a.state == answered && a.to != nil {
		a.sys.Root.Send(a.to, &answer{ref: a.ref, state: answerLost, peer: a.peer, why: "its answer could not be handled"})
	}
}

// withdraw ends requests whose asker has stopped: they are not sent again.
type withdraw struct{ refs []uint64 }

// withdraw has the gateways end the requests under way of an asker that stops.
func (x *core) withdraw(asked map[uint64]ID) {
	if len(asked) == 0 {
		return
	}
	m := withdraw{slices.Sorted(maps.Keys(asked))}
	for _, g := range x.gates {
		x.tell(g.pid, m)
	}
}
