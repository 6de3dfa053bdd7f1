package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// PanicPolicy says what a panic does to an actor or a service of yours. Whatever
// it is, no peer is disconnected and none loses its calls and streams with others:
// a peer is charged only by [Peers.Blame].
type PanicPolicy = protocol.PanicPolicy

// The panic policies.
const (
	// PanicRestart, the default, starts a new incarnation. Messages of peers do
	// that at most five times a minute; a further one is dropped while the
	// incarnation goes on.
	PanicRestart = protocol.PanicRestart
	// PanicContain drops the message and goes on with the same incarnation.
	PanicContain = protocol.PanicContain
	// PanicStop ends the actor for good, until it is registered again: peers
	// then hear what they hear of an actor that does not exist.
	PanicStop = protocol.PanicStop
)

// ActorOption is a choice for one actor of yours.
type ActorOption func(*actorOptions)

type actorOptions struct{ onPanic PanicPolicy }

// OnPanic chooses what a panic does to the actor. Default: [PanicRestart]. That of
// a service is in [rpc.Service].
func OnPanic(p PanicPolicy) ActorOption { return func(o *actorOptions) { o.onPanic = p } }

// registration completes a registration, or says why there can be none.
func registration(m actors.Register, new NewActor, opts []ActorOption) (actors.Register, error) {
	if new == nil {
		return m, errNoActor
	}
	o := actorOptions{m.OnPanic}
	for _, opt := range opts {
		opt(&o)
	}
	m.OnPanic = o.onPanic
	return m, m.OnPanic.Validate()
}
