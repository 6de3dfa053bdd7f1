package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	// [AddProtocol], each time that it starts. Peers that are connected already do not
	// learn of a protocol that is added later.
	Services []supervisor.Spec
	// Actors are children of node/NAME. One that fails too often restarts them all.
	// One that offers a protocol does so again on each [ServicesStarted].
	Actors []supervisor.Spec
	// Stages says when actors finish what they have accepted, by their paths below
	// the node, as in "services/rpc". Their specs, and no others, say Drains: they
	// hear [supervisor.Drain], and reply with [supervisor.Drained]. Services stop at
	// the end of [StopProtocols], the group of Actors at that of [StopStores].
	Stages map[string]Stage
	// Sections are what the inspector shows of the part, by name.
	Sections map[string]func(ctx context.Context) any
	// Ready waits until the part works; Start fails with its error. It asks an actor
	// of the part, as there are no channels in parts.
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

// CheckParts reports what would not work in the parts of a node: names that are used
// twice, and stages of actors that are not there, do not drain, or have stopped by
// then. Sections are the names of those that the node has already.
func CheckParts(parts []Part, sections []string) error {
	var wrong []error
	names := make(map[string]bool)
	once := func(kind, name string) {
		if name == "" || names[kind+" "+name] {
			wrong = append(wrong, fmt.Errorf("actors: %s %q: the name is used twice, or empty", kind, name))
		}
		names[kind+" "+name] = true
	}
	for _, name := range []string{"peers", "conns", "dialer", "connectivity", "services", "extensions", "liveness", "listeners"} {
		once("part", name)
	}
	for _, name := range []string{"messaging", "plain"} {
		once("service", name)
	}
	for _, name := range sections {
		once("section", name)
	}
	for _, p := range parts {
		once("part", p.Name)
		for name := range p.Sections {
			once("section", name)
		}
		drains := make(map[string]bool)
		for _, s := range p.Services {
			once("service", s.Name)
			drains["services/"+s.Name] = s.Drains
		}
		for _, s := range p.Actors {
			drains[p.Name+"/"+s.Name] = s.Drains
		}
		for path, stage := range p.Stages {
			switch does, ok := drains[path]; {
			case !ok:
				wrong = append(wrong, fmt.Errorf("actors: part %s: there is no actor at %q, which has a stage of the stop", p.Name, path))
			case !does:
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has a stage of the stop, and its spec does not say Drains", p.Name, path))
			case stage > StopProtocols && strings.HasPrefix(path, "services/"):
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has stopped before its stage: services stop in StopProtocols", p.Name, path))
			}
		}
		for path, does := range drains {
			if _, ok := p.Stages[path]; does && !ok {
				wrong = append(wrong, fmt.Errorf("actors: part %s: the spec of %s says Drains, and it has no stage of the stop", p.Name, path))
			}
		}
	}
	return errors.Join(wrong...)
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
