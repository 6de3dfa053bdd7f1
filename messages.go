package gamelan

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The messages that actors of yours hear. Those of the DHT are [dht.Received] and
// [dht.Sent].
type (
	// Received is a plain message of a peer, for the handler. Its credit goes back
	// to the sender when Receive returns.
	Received = actors.Received
	// SubstreamOpened is a substream of a protocol of yours that a peer has opened.
	SubstreamOpened = actors.SubstreamOpened
	// Sent is the outcome of a message of [Node.SendFrom].
	Sent = actors.Sent
)

// Handle makes an actor of a function: it is called with each message of its type,
// one at a time, and must not wait.
//
//	gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { … }))
//	gamelan.WithType(1225, gamelan.Handle(func(m dht.Received) { … }))
func Handle[M any](f func(M)) NewActor {
	return func(*Node) actor.Actor { return handler[M](f) }
}

type handler[M any] func(M)

func (f handler[M]) Receive(c actor.Context) {
	if m, ok := c.Message().(M); ok {
		f(m)
		return
	}
	supervisor.Unhandled(c)
}
