package main

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// dhtEar hears the messages of one type that come over the DHT and hands them to
// the inbox, with their credit: they are shown with the plain ones, in one order.
//
// In: dht.Received. Out: the same, to the inbox. A restart loses
// its count.
type dhtEar struct {
	node *gamelan.Node
	n    uint64 // messages
}

func newDHTEar(n *gamelan.Node) actor.Actor { return &dhtEar{node: n} }

func (e *dhtEar) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		supervisor.Unhandled(c)
		return
	}
	inbox, ok := e.node.Actors().Plain.Handler.Get()
	if !ok { // it has failed for good; the tree shows that
		supervisor.Log(c).Warn("message dropped: there is no inbox", "peer", m.Peer)
		return
	}
	m.Lease = handedOn(m)
	c.Send(inbox, m)
	e.n++
}

// String is the ear's line in the tree.
func (e *dhtEar) String() string { return plural(e.n, "message") + " handed to the inbox" }

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
