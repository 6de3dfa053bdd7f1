package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// PanicPolicy decides what a panic does to your actor or service. With every policy, no
// peer is disconnected, and its other calls and streams go on: only [Peers.Blame] counts
// an offence against a peer.
type PanicPolicy = protocol.PanicPolicy

// The panic policies.
const (
	// PanicRestart, the default, starts a new incarnation. Messages of peers cause at
	// most five restarts a minute; after that, a message whose handling panics is
	// dropped and the incarnation goes on.
	PanicRestart = protocol.PanicRestart
	// PanicContain drops the message; the same incarnation goes on.
	PanicContain = protocol.PanicContain
	// PanicStop stops the actor until it is registered again. Meanwhile peers get the
	// same answers as if the actor did not exist.
	PanicStop = protocol.PanicStop
)

// ActorOption is a setting of one of your actors.
type ActorOption func(*actorOptions)

type actorOptions struct{ onPanic PanicPolicy }

// OnPanic sets the actor's [PanicPolicy]. Default: [PanicRestart]. The policy of a service
// is a field of [rpc.Service].
func OnPanic(p PanicPolicy) ActorOption { return func(o *actorOptions) { o.onPanic = p } }

// registration completes a registration, or returns an error if it is not possible.
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
