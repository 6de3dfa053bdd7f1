package discoverypart

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// exchange is the state of the actor netsync that outlives its restarts. It is also what
// the machines know of peers.
type exchange struct {
	d      *Discovery
	random *rand.Rand

	rounds    *netsync.Rounds
	bootstrap *netsync.Bootstrap
	recovery  *netsync.Recovery

	seeds    map[identity.NodeID]dht.SeedState // results of asking seeds
	seedIDs  []identity.NodeID                 // seeds, as of the last listSeeds; in order
	listedAt int                               // number of known peers then
	ticks    uint
	named    []identity.NodeID        // seeds that only DNS has named
	listed   netsync.Recent           // nodes whose lists a search has read lately
	uses     map[identity.NodeID]*use // of connections that this node has made of its own accord
	asking   map[identity.NodeID]int  // syncs under way

	last           dht.SyncResult
	answers        []dht.SyncedNode // of the last round; replaced, never changed
	rebootstraps   int
	badRecords     int
	namesErr       error
	seedTrouble    string // as in SyncState
	begun          bool   // the seeds are known, and the bootstrap has begun
	online, opened bool   // the node is online; Rounds knows that
}

// newExchange returns the state before the first round.
func newExchange(d *Discovery, seed1, seed2 uint64) *exchange {
	x := &exchange{
		d: d, random: rand.New(rand.NewPCG(seed1, seed2)), bootstrap: netsync.NewBootstrap(),
		seeds: make(map[identity.NodeID]dht.SeedState), uses: make(map[identity.NodeID]*use),
	}
	s := &d.Settings
	x.rounds = netsync.NewRounds(netsync.Options{
		Desired: s.MinPeers, Peers: s.SyncPeers, Ask: s.RoundPeers, Rounds: s.IdleRounds,
		Idle: s.Idle, Failure: s.FailurePause, Delay: s.SyncDelay,
	}, x)
	x.recovery = netsync.NewRecovery(x, x.random)
	return x
}

// Known returns the number of known peers.
func (x *exchange) Known() int { return x.d.trunk.Store().Len() }

// Connected reports whether a peer is connected.
func (x *exchange) Connected(id identity.NodeID) bool {
	_, ok := x.d.trunk.Connection(id)
	return ok
}

// Random returns up to n nodes at random that are not skipped.
func (x *exchange) Random(n int, skip func(identity.NodeID) bool) []identity.NodeID {
	q := peerstore.Query{Now: x.d.trunk.Wall(), Where: func(p peerstore.Peer) bool { return !skip(p.ID) && x.mayAsk(p) }}
	return ids(peerstore.Random(x.d.trunk.Store(), q, n, x.random))
}

// Ready returns up to n nodes at random, connected ones first.
func (x *exchange) Ready(n int) []identity.NodeID {
	ready := x.Random(n, func(id identity.NodeID) bool { return !x.Connected(id) })
	return append(ready, x.Random(n-len(ready), x.Connected)...)
}

// Nearest returns the n active nodes closest to this node that are not skipped.
func (x *exchange) Nearest(n int, skip func(identity.NodeID) bool) []identity.NodeID {
	wall := x.d.trunk.Wall()
	return ids(x.d.trunk.Store().Closest(x.self(), n, func(p peerstore.Peer) bool {
		return (p.Active(wall) || x.Connected(p.ID)) && !skip(p.ID) && x.mayAsk(p)
	}))
}

// Sources returns the seeds and the connected nodes, in random order.
func (x *exchange) Sources() []netsync.Source {
	var list []netsync.Source
	for _, p := range x.seedPeers() {
		s := netsync.Source{Peer: p.ID, Seed: true}
		if ref, ok := x.d.trunk.Connection(p.ID); ok {
			s.Connected, s.Outbound = true, ref.Direction == protocol.Outbound
		}
		list = append(list, s)
	}
	seeds := len(list)
	for _, id := range x.connectedNodes() {
		if slices.ContainsFunc(list[:seeds], func(s netsync.Source) bool { return s.Peer == id }) {
			continue
		}
		if ref, ok := x.d.trunk.Connection(id); ok {
			list = append(list, netsync.Source{Peer: id, Connected: true, Outbound: ref.Direction == protocol.Outbound})
		}
	}
	x.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func (x *exchange) self() identity.NodeID { return x.d.trunk.Secret().NodeID() }

// mayAsk reports whether a peer can be asked for its list: a node that is connected, or
// that could be, and that neither is being asked nor is a seed whose turn comes. It must not
// use the store: see [peerstore.View].Closest.
func (x *exchange) mayAsk(p peerstore.Peer) bool {
	t := x.d.trunk
	if p.Key.IsZero() || p.ID == x.self() || !p.Features.IsNode() || t.WithoutDHT(p) || p.Banned(t.Wall()) && !t.Allowed(p.ID) {
		return false
	}
	if x.asking[p.ID] > 0 || x.bootstrap.Asks(p.ID) {
		return false
	}
	return x.Connected(p.ID) || !p.Offline() && t.Dialable(p) == nil
}

// usable returns how many known nodes can be asked, up to most.
func (x *exchange) usable(most int) (n int) {
	for p := range x.d.trunk.Store().All() {
		if n == most {
			break
		}
		if x.mayAsk(p) {
			n++
		}
	}
	return n
}

// spare returns how many nodes the node knows that it could dial and is not connected to, up
// to most. Nodes that could not be reached count only if they are seeds, or if no node is
// connected.
func (x *exchange) spare(most int) (n int) {
	alone := len(x.connectedNodes()) == 0
	for p := range x.d.trunk.Store().All() {
		if n == most {
			break
		}
		if x.Connected(p.ID) || p.ID == x.self() || !p.Features.IsNode() || p.Key.IsZero() || x.d.trunk.Banned(p.ID) != nil {
			continue
		}
		if (alone || !p.Offline() || p.Flags&peerstore.FlagSeed != 0) && x.d.trunk.Dialable(p) == nil {
			n++
		}
	}
	return n
}

// connectedNodes returns the nodes that are connected and may be asked, in the order of
// their ids.
func (x *exchange) connectedNodes() (list []identity.NodeID) {
	for id, ref := range x.d.trunk.Connections().All() {
		if ref.Features.IsNode() && !x.withoutDHT(id) {
			list = append(list, id)
		}
	}
	slices.SortFunc(list, identity.NodeID.Compare)
	return list
}

func (x *exchange) withoutDHT(id identity.NodeID) bool {
	p, ok := x.d.trunk.Store().Get(id)
	return ok && x.d.trunk.WithoutDHT(p)
}

// outbound returns how many connected nodes this node has dialled.
func (x *exchange) outbound() (n int) {
	for _, ref := range x.d.trunk.Connections().All() {
		if ref.Features.IsNode() && ref.Direction == protocol.Outbound {
			n++
		}
	}
	return n
}

// seedPeers returns the seeds that may be asked, in random order.
func (x *exchange) seedPeers() []peerstore.Peer {
	q := peerstore.Query{Now: x.d.trunk.Wall(), Seeds: true, Where: x.mayAskSeed}
	return peerstore.Random(x.d.trunk.Store(), q, maxSeeds, x.random)
}

// mayAskSeed reports whether a seed can be asked: one that is connected, or that could be.
func (x *exchange) mayAskSeed(p peerstore.Peer) bool {
	return p.ID != x.self() && !p.Key.IsZero() && x.d.trunk.Banned(p.ID) == nil && (x.Connected(p.ID) || x.d.trunk.Dialable(p) == nil)
}

// maxSeeds limits the seeds that the node asks and shows.
const maxSeeds = 64

// seedStates returns the results of asking the seeds, in the order of their ids.
func (x *exchange) seedStates() []dht.SeedState {
	list := make([]dht.SeedState, 0, len(x.seedIDs))
	for _, id := range x.seedIDs {
		s, ok := x.seeds[id]
		if !ok {
			s = dht.SeedState{Peer: id}
		}
		list = append(list, s)
	}
	return list
}

// listSeeds finds the seeds among the known peers. It looks at all of these, so it is not for
// every message.
func (x *exchange) listSeeds() {
	x.seedIDs = ids(peerstore.Select(x.d.trunk.Store(), peerstore.Query{Seeds: true}, maxSeeds))
	x.listedAt = x.Known()
}

// seedAsked notes the result of asking a peer, if it is a seed, and reports whether it is.
func (x *exchange) seedAsked(now time.Time, peer identity.NodeID, peers int, err error) bool {
	if p, ok := x.d.trunk.Store().Get(peer); !ok || p.Flags&peerstore.FlagSeed == 0 {
		return false
	}
	if _, ok := x.seeds[peer]; !ok && len(x.seeds) >= maxSeeds {
		return false
	}
	if at, listed := slices.BinarySearchFunc(x.seedIDs, peer, identity.NodeID.Compare); !listed { // it became a seed since
		x.seedIDs = slices.Insert(x.seedIDs, at, peer)
	}
	x.seeds[peer] = dht.SeedState{Peer: peer, At: now, Answered: err == nil, Peers: peers, Err: err}
	return true
}

func ids(peers []peerstore.Peer) (list []identity.NodeID) {
	for _, p := range peers {
		list = append(list, p.ID)
	}
	return list
}
