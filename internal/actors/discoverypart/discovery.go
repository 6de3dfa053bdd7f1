package discoverypart

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ServiceID is the protocol id of the service that hands out peers (spec: dht 9).
const ServiceID = protocol.PeersID

// Settings are the limits of discovery and what it works with.
type Settings struct {
	// Automatic says that the node may act of its own accord: join, ask for peers and
	// dial neighbours. Without it, it only handles what it receives and what it is asked
	// for.
	Automatic bool
	// AutoJoin says that the node sends a Join when it is online.
	AutoJoin bool
	// Sync says that the node asks others for peers.
	Sync bool

	Floor        int           // connected nodes that the node wants at least
	Neighbours   int           // size of the set of the closest nodes
	Random       int           // size of the set of random nodes
	Minimise     bool          // close connections to nodes beyond both sets
	Update       time.Duration // pause between checks of the sets
	Refresh      time.Duration // age at which the set of random nodes is renewed
	Cooldown     time.Duration // for how long a peer that went offline is not chosen
	JoinCooldown time.Duration // pause between automatic Joins
	Search       time.Duration // limit of a search for a peer

	MinPeers     int           // known peers below which the node asks random nodes for more
	SyncPeers    int           // nodes that are asked in one round
	RoundPeers   int           // peers that one node is asked for in a round
	IdleRounds   int           // rounds after which the node rests
	Idle         time.Duration // how long it rests
	FailurePause time.Duration // pause after a round in which nobody answered
	SyncDelay    time.Duration // pause before the first round
	ServeWithin  time.Duration // how recently a peer was reached that is handed out

	// Seeds are the configured seeds. Netsync stores them before it asks them.
	Seeds []peerstore.Peer
	// SeedNames are DNS names whose TXT records name seeds. Resolver resolves them; nil
	// resolves none.
	SeedNames []string
	Resolver  Resolver

	// Client returns the client of a peer's service [ServiceID].
	Client func(peer identity.NodeID) *rpc.Client
	// Host is used by the verbs, and by the methods that wait for an actor.
	Host trunk.Host
}

// Resolver looks up TXT records. A *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Discovery is the discovery of one node. Its actors share it, and it outlives their
// incarnations.
type Discovery struct {
	Settings
	// The actors of the part.
	Join, Search, Netsync, Neighbours *actor.PID

	trunk     Trunk
	states    states
	joins     joinState
	searching searchCounts
	requests  requests
	exchange  *exchange         // of the actor netsync, which alone uses it
	drawn     []identity.NodeID // random nodes, of the actor neighbours, which alone uses it
}

// New returns the discovery of a node. It must be called before the node's actors start.
func New(t Trunk, s Settings) *Discovery {
	d := &Discovery{
		Settings: s, trunk: t,
		Join: t.PID("discovery/join"), Search: t.PID("discovery/search"),
		Netsync: t.PID("discovery/netsync"), Neighbours: t.PID("discovery/neighbours"),
		joins: joinState{joins: discovery.NewJoins(s.JoinCooldown)},
	}
	t.Provide(dht.ProviderOf(wire.TypeJoin), d.Join)
	t.Provide(dht.ProviderOf(wire.TypeDiscovery), d.Search)
	t.Provide(dht.ProviderOf(wire.TypeDiscoveryResponse), d.Search)
	t.Provide(trunk.Discovery, d.Search)
	return d
}

// Part returns the actors of discovery.
func (d *Discovery) Part() actors.Part {
	return actors.Part{
		Name: "discovery",
		Actors: []supervisor.Spec{
			{Name: "join", Kind: "join", New: func() actor.Actor { return newJoin(d) }},
			{Name: "search", Kind: "search", New: func() actor.Actor { return newSearch(d) }},
			{Name: "netsync", Kind: "netsync", New: func() actor.Actor { return newNetsync(d) }},
			{Name: "neighbours", Kind: "neighbours", New: func() actor.Actor { return newNeighbours(d) }},
		},
		Sections: sections(d.section), Metrics: d.metrics, Verbs: d.Verbs(), Warnings: d.warnings,
	}
}
