package actors

import (
	"context"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Part is a subsystem of the node beside the trunk, such as remote calls. It imports no other
// part. The tree of actors and the order in which a node stops follow from the list of the
// node's parts. All fields but Name may be empty.
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
	// included. A service that offers a protocol sends AddProtocol each time that it
	// starts. Peers that are connected already do not learn of a protocol that is added
	// later.
	Services []supervisor.Spec
	// Actors are children of node/NAME. One that fails restarts alone; one that fails
	// too often restarts them all. An actor that offers a protocol sends AddProtocol
	// again on each ServicesStarted.
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
	// Metrics returns a value whose fields with a tag metric are metrics, such as that of a section:
	// see [models.MetricsOf]. A nil pointer has none, and still tells which there are. It is called for
	// each scrape, on a goroutine of its own, and should return well before ctx ends. What does not answer in time is
	// nil, and not 0: a counter never falls.
	Metrics func(ctx context.Context) any
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
)
