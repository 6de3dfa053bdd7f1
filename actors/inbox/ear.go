package inbox

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ear receives the DHT messages of one type and hands them to the keeper, with their
// credit. The keeper stores them together with the plain messages, in one order.
//
// In: dht.Received. Out: dht.Received, to the keeper. A restart loses the count of
// messages.
type ear struct {
	in *Inbox
	n  uint64 // messages
}

// NewEar returns the actor of one message type.
func (b *Inbox) NewEar() actor.Actor { return &ear{in: b} }

func (e *ear) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		supervisor.Unhandled(c)
		return
	}
	keeper, ok := e.in.keeper()
	if !ok { // the keeper has failed; the tree of actors shows it
		e.in.dropped.Add(1)
		supervisor.Log(c).Warn("message dropped: the inbox has failed", "peer", m.Peer)
		return
	}
	m.Credit = handedOn(m)
	c.Send(keeper, m)
	e.n++
}

// String is the ear's line in the tree.
func (e *ear) String() string {
	if e.n == 1 {
		return "1 message handed to the inbox"
	}
	return fmt.Sprintf("%s messages handed to the inbox", inspect.Number(e.n))
}

// handedLease is the credit of a message that the ear hands to the keeper. The ear has
// kept the credit, so that the end of its own Receive does not return it.
type handedLease struct {
	source  any
	release func()
	kept    atomic.Bool
}

func handedOn(m dht.Received) *handedLease {
	return &handedLease{source: m.Source(), release: m.Keep()}
}

func (l *handedLease) Finish() {
	if !l.kept.Load() {
		l.release()
	}
}

func (l *handedLease) Discard() { l.release() }

func (l *handedLease) Keep() func() {
	l.kept.Store(true)
	return l.release
}

func (l *handedLease) Source() any { return l.source }
