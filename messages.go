package gamelan

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// These are the messages that your actors receive. For the DHT they receive
// [dht.Received] and [dht.Sent].
type (
	// Received is a plain message from a peer, for the handler. Its credit returns to
	// the sender when Receive returns.
	Received = actors.Received
	// SubstreamOpened is a substream that a peer has opened for one of your protocols.
	SubstreamOpened = actors.SubstreamOpened
	// Sent is the outcome of a message that was sent with [Node.SendFrom].
	Sent = actors.Sent
)

// Handle returns an actor that calls f with each message of type M, one at a time. The
// function f must not wait.
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
