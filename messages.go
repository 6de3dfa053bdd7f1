package gamelan

import (
	"reflect"

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
// function f must not wait. M is what the actor receives: Received for plain messages, and
// not the [Message] of [WithMessages]. Of a message of a peer that is no M the node logs a
// warning that names both types, once.
//
//	gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { … }))
//	gamelan.WithType(1225, gamelan.Handle(func(m dht.Received) { … }))
func Handle[M any](f func(M)) NewActor {
	return func(*Node) actor.Actor { return &handler[M]{f: f} }
}

type handler[M any] struct {
	f      func(M)
	warned bool
}

func (h *handler[M]) Receive(c actor.Context) {
	if m, ok := c.Message().(M); ok {
		h.f(m)
		return
	}
	if m, ok := c.Message().(supervisor.Attributed); ok && !h.warned {
		h.warned = true
		supervisor.Log(c).Warn("messages of peers are dropped: the function given to Handle takes another type", "takes", reflect.TypeFor[M]().String(), "came", reflect.TypeOf(m).String())
	}
	supervisor.Unhandled(c)
}
