package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Part is a subsystem of the node beside the trunk, such as remote calls. Its package
// is below this one, imports this one, and imports no other part. The tree of actors and
// the order in which a node stops follow from the list of the node's parts. All fields but
// Name may be empty.
//
// State that outlives a restart of the part's actors belongs to the value that
// makes the Part: New of a [supervisor.Spec] hands it to each incarnation.
//
// A subsystem that is switched off is a Part without actors, whose sections are empty. The
// function Off of its package returns it.
type Part struct {
	// Name is the name of the part, and of its group in the tree.
	Name string
	// Services are children of node/services, beside messaging. One that fails
	// restarts alone; one that fails too often restarts all services, messaging
	// included. A service that offers a protocol sends [AddProtocol] each time that it
	// starts. Peers that are connected already do not learn of a protocol that is added
	// later.
	Services []supervisor.Spec
	// Actors are children of node/NAME. One that fails restarts alone; one that fails
	// too often restarts them all. An actor that offers a protocol sends [AddProtocol]
	// again on each [ServicesStarted].
	Actors []supervisor.Spec
	// Attached says that actors are attached to the group node/NAME while the node runs
	// ([supervisor.Attach]). The group then exists without Actors, too.
	Attached bool
	// Policy says what happens to a child of the group that fails. The zero value restarts
	// it.
	Policy supervisor.Policy
	// Stages says in which stage of the stop an actor finishes the work that it has
	// accepted. The keys are paths below the node, as in "services/rpc". The specs of
	// these actors, and of no others, set Drains: such an actor receives
	// [supervisor.Drain] and replies with [supervisor.Drained]. The path NAME is the group
	// with Attached, which passes the Drain on to its children. Services stop at the
	// end of [StopProtocols], the group of Actors at the end of [StopStores].
	Stages map[string]Stage
	// Sections are the sections of the part in the inspector, by name. Each function returns the
	// content.
	Sections map[string]func(ctx context.Context) any
	// Node fills in the fields of the section "node" that are the part's. It does not wait.
	Node func(v *models.Node)
	// Verbs are the actions of the part, by one of its Sections and by name. In the API, GET
	// /v1/SECTION shows, and POST /v1/SECTION/VERB acts. They may wait.
	Verbs map[string]map[string]inspect.Verb
	// Degraded returns why the node does not work as it should because of the part, and
	// Warnings what else is wrong with it. PeerWarnings returns what is wrong with its peers.
	// None of them waits.
	Degraded, Warnings, PeerWarnings func() models.Notices
	// Ready waits until the part works; Start fails with its error. It waits for the
	// answer of an actor of the part, because parts have no channels.
	Ready func(ctx context.Context) error
}

// Stage is a step of the orderly stop of a node. The next stage begins when all
// actors of this stage have finished, or their time is over.
type Stage int

// The stages of a stop, in their order.
const (
	// StopIntake stops listening and dialling: no new connections.
	StopIntake Stage = iota
	// StopSenders finishes the messages that are on their way to messaging.
	StopSenders
	// StopMessages ends the confirming of messages. It finishes those on their way to peers, and
	// calls, and reads those of peers that have arrived.
	StopMessages
	// StopReceivers judges the messages that were read.
	StopReceivers
	// StopProtocols finishes the work of users' actors.
	StopProtocols
	// StopConnections says goodbye on every connection.
	StopConnections
	// StopStores writes the remaining changes to the disk.
	StopStores

	stages
)

// trunkStages are the actors of the trunk that drain and stop in each stage.
var trunkStages = [stages]supervisor.Phase{
	StopIntake:      {Drain: []string{"listeners", "dialer"}, Stop: []string{"listeners", "dialer"}},
	StopMessages:    {Drain: []string{"services/messaging", "services/plain"}},
	StopProtocols:   {Drain: []string{"extensions"}, Stop: []string{"services", "extensions"}},
	StopConnections: {Drain: []string{"conns"}, Stop: []string{"conns"}},
	StopStores:      {Drain: []string{"peers"}, Stop: []string{"connectivity", "peers"}},
}

// CheckParts returns an error if the parts of a node cannot work: a part, service or
// section has no name or the name of another, verbs are of no section of their part or do
// nothing, or a stage names an actor that does not exist, does not drain, or has stopped before. sections are the names of the sections
// that the node has already.
func CheckParts(parts []Part, sections []string) error {
	var wrong []error
	names := make(map[string]bool)
	once := func(kind, name string) {
		if name == "" || names[kind+" "+name] {
			wrong = append(wrong, fmt.Errorf("actors: %s %q: the name is used already, or empty", kind, name))
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
		if !supervisor.ValidName(p.Name) || len(p.Name) > maxActorName {
			wrong = append(wrong, fmt.Errorf("actors: part %q: a name is 1 to 50 characters a-z 0-9 . _ -", p.Name))
		}
		for name := range p.Sections {
			once("section", name)
			if !supervisor.ValidName(name) || len(name) > maxActorName {
				wrong = append(wrong, fmt.Errorf("actors: part %s: section %q: a name is 1 to 50 characters a-z 0-9 . _ -", p.Name, name))
			}
		}
		for _, s := range slices.Concat(p.Services, p.Actors) {
			if s.New == nil {
				wrong = append(wrong, fmt.Errorf("actors: part %s: the spec of %q has no New", p.Name, s.Name))
			}
		}
		for section, verbs := range p.Verbs {
			if p.Sections[section] == nil {
				wrong = append(wrong, fmt.Errorf("actors: part %s: there are verbs of %q, which is no section of the part", p.Name, section))
			}
			for name, v := range verbs {
				if (v.Do == nil) == (v.Stream == nil) {
					wrong = append(wrong, fmt.Errorf("actors: part %s: the verb %s %s needs either Do or Stream", p.Name, section, name))
				}
			}
		}
		drains := make(map[string]bool)
		for _, s := range p.Services {
			once("service", s.Name)
			drains["services/"+s.Name] = s.Drains
		}
		for _, s := range p.Actors {
			once("actor of part "+p.Name, s.Name)
			drains[p.Name+"/"+s.Name] = s.Drains
		}
		if p.Attached {
			drains[p.Name] = true
		}
		for path, stage := range p.Stages {
			switch does, ok := drains[path]; {
			case !ok:
				wrong = append(wrong, fmt.Errorf("actors: part %s: there is no actor at %q, which has a stage of the stop", p.Name, path))
			case !does:
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has a stage of the stop, and its spec does not say Drains", p.Name, path))
			case stage < 0 || stage >= stages:
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has a stage of the stop that there is not: %d", p.Name, path, stage))
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

// group reports whether the part has a group in the tree.
func (p *Part) group() bool { return len(p.Actors) > 0 || p.Attached }

// Phases returns the order in which a node with these parts stops.
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
		if p.group() {
			stores := &phases[StopStores]
			stores.Stop = append([]string{p.Name}, stores.Stop...)
		}
	}
	return phases
}
