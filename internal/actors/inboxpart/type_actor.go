package inboxpart

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// typeActor receives the DHT messages of one type and hands them to the keeper, with their
// credit. The keeper stores them together with the plain messages, in one order.
//
// In: dht.Received. Out: dht.Received, to the keeper. A restart loses the count of
// messages.
type typeActor struct {
	in *Inbox
	n  uint64 // messages
}

// NewTypeActor returns the actor of one message type.
func (b *Inbox) NewTypeActor() actor.Actor { return &typeActor{in: b} }

func (a *typeActor) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		supervisor.Unhandled(c)
		return
	}
	keeper, ok := a.in.keeper()
	if !ok { // the keeper has failed; the tree of actors shows it
		a.in.dropped.Add(1)
		supervisor.Log(c).Warn("message dropped: the inbox has failed", "peer", m.Peer)
		m.Refuse() // so that it can come again
		return
	}
	m.Credit = handedOn(m)
	c.Send(keeper, m)
	a.n++
}

// String is the actor's line in the tree.
func (a *typeActor) String() string {
	if a.n == 1 {
		return "1 message handed to the inbox"
	}
	return fmt.Sprintf("%s messages handed to the inbox", inspect.Number(a.n))
}

// handedCredit is the credit of a message that the type actor hands to the keeper. The type actor has
// kept the credit, so that the end of its own Receive does not return it.
type handedCredit struct {
	source  supervisor.Source
	release func()
	discard func()
	refuse  func()
	kept    atomic.Bool
}

func handedOn(m dht.Received) *handedCredit {
	return &handedCredit{source: m.Source(), release: m.Keep(), discard: m.Discard, refuse: m.Refuse}
}

func (l *handedCredit) Finish() {
	if !l.kept.Load() {
		l.release()
	}
}

func (l *handedCredit) Discard() { l.discard() }

func (l *handedCredit) Refuse() { l.refuse() }

func (l *handedCredit) Keep() func() {
	l.kept.Store(true)
	return l.release
}

func (l *handedCredit) Source() supervisor.Source { return l.source }
