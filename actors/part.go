package actors

import (
	"context"
	"maps"
	"slices"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Part is a subsystem of the node beside the trunk, such as remote calls: a
// package below this one that imports it, and no other such package. The tree of
// actors, the order in which a node stops, and the sections of the inspector
// follow from the list of the node's parts. All fields but Name may be empty.
//
// State that outlives a restart of the part's actors belongs to the value that
// makes the Part: New of a [supervisor.Spec] hands it to each incarnation.
type Part struct {
	// Name is that of the part, and of its group in the tree.
	Name string
	// Services are children of node/services, beside messaging. One that stops
	// fails alone: see [supervisor.Policy]. An actor offers a protocol by
	// [AddProtocol], each time that it starts.
	Services []supervisor.Spec
	// Actors are children of node/NAME. One that fails too often restarts them all.
	Actors []supervisor.Spec
	// Stages says when actors finish what they have accepted, by their paths below
	// the node, as in "services/rpc". Their specs say Drains. The group of Actors
	// stops in [StopStores].
	Stages map[string]Stage
	// Sections are what the inspector shows of the part, by name.
	Sections map[string]func(ctx context.Context) any
	// Ready waits until the part works; Start fails with its error.
	Ready func(ctx context.Context) error
}

// Stage is a step of the orderly stop of a node. The next one begins when all
// actors of this one have finished, or their time is over.
type Stage int

// The stages of a stop, in their order.
const (
	// StopIntake ends what brings new connections.
	StopIntake Stage = iota
	// StopSenders finishes messages that are on their way to messaging.
	StopSenders
	// StopProtocols finishes messages, calls and the users' actors.
	StopProtocols
	// StopConnections says goodbye on every connection.
	StopConnections
	// StopStores writes to the disk what is not there yet.
	StopStores

	stages
)

// trunkStages is what the trunk itself drains and stops.
var trunkStages = [stages]supervisor.Phase{
	StopIntake:      {Drain: []string{"listeners", "dialer"}, Stop: []string{"listeners", "dialer"}},
	StopProtocols:   {Drain: []string{"extensions", "services/messaging", "services/plain"}, Stop: []string{"services", "extensions"}},
	StopConnections: {Drain: []string{"conns"}, Stop: []string{"conns"}},
	StopStores:      {Drain: []string{"peers"}, Stop: []string{"connectivity", "peers"}},
}

// Phases is the order in which a node with these parts stops.
func Phases(parts []Part) []supervisor.Phase {
	phases := make([]supervisor.Phase, stages)
	for i, p := range trunkStages {
		phases[i] = supervisor.Phase{Drain: slices.Clone(p.Drain), Stop: slices.Clone(p.Stop)}
	}
	for _, p := range parts {
		for _, path := range slices.Sorted(maps.Keys(p.Stages)) {
			phase := &phases[p.Stages[path]]
			phase.Drain = append(phase.Drain, path)
		}
		if len(p.Actors) > 0 {
			stores := &phases[StopStores]
			stores.Stop = append([]string{p.Name}, stores.Stop...)
		}
	}
	return phases
}
