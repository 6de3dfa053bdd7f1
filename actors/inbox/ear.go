package inbox

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ear hears the messages of one type that come over the DHT and hands them to
// the keeper, with their credit: they are kept with the plain ones, in one order.
//
// In: dht.Received. Out: the same, to the keeper. A restart loses its count.
type ear struct {
	in *Inbox
	n  uint64 // messages
}

// NewEar makes the actor of one message type.
func (b *Inbox) NewEar() actor.Actor { return &ear{in: b} }

func (e *ear) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		supervisor.Unhandled(c)
		return
	}
	keeper, ok := e.in.keeper()
	if !ok { // it has failed for good; the tree shows that
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

// handedLease is the credit of a message that was kept in one mailbox for another.
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
