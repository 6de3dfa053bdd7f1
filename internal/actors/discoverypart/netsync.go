package discoverypart

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Errors of requests to the actor netsync.
var (
	ErrNobodyToAsk = errors.New("discovery: no other node is known that could be asked for peers")
	ErrTooManyAsk  = errors.New("discovery: too many requests for a round are waiting")
	// ErrRoundLost reports a round whose result is not known, because the actor netsync was
	// restarted or the node is closing.
	ErrRoundLost = errors.New("discovery: the actor that asks for peers was restarted meanwhile; try again")
)

// seedsEvery is after how many ticks the seeds are looked for among the known peers, even if
// no peer was added.
const seedsEvery = 15

// maxWaiters limits the requests that wait for a round or for lists.
const maxWaiters = 256

// netsyncActor asks other nodes for the peers that they know. Package internal/dht/netsync decides
// whom and when: at the start the seeds, then a few nodes in each round, then each node that
// connects, and seeds and connected nodes anew when too few connections are outbound.
//
// In: SyncNow, ListPeers, PeerDialed, PeerAdded, events StatusChanged, PeerConnected,
// StoreTroubled and PoolStarved. Out: Synced, PeersListed, dials, AddPeer, PeerViolated,
// events PeersLearned, PoolStarved and Rebootstrapped. A restart loses the round under way
// and the requests that wait, which get ErrRoundLost; the plan of the machines stays.
type netsyncActor struct {
	d *Discovery
	*exchange

	syncs   map[uint64]*syncing // by token
	running map[syncKey]uint64
	dials   map[uint64]identity.NodeID // of peers that Recovery has learned, by token
	waiters []waiter                   // for the end of the round
	lists   listing
	looking bool   // names of seeds are being looked up
	naming  uint64 // token of the seeds that are on their way to the store
	unnamed int    // their number
}

// waiter is somebody who waits for a reply.
type waiter struct {
	to    *actor.PID
	token uint64
}

func newNetsync(d *Discovery) actor.Actor {
	return &netsyncActor{d: d, syncs: make(map[uint64]*syncing), running: make(map[syncKey]uint64), dials: make(map[uint64]identity.NodeID)}
}

type (
	starvationTick struct{}
	gateOpens      struct{} // rounds need not wait for the seeds any longer
	machineDue     struct{ machine netsync.Purpose }
)

// Receive implements [actor.Actor].
func (a *netsyncActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.started(c)
	case SyncNow:
		a.syncNow(c, m)
	case ListPeers:
		a.listPeers(c, m)
	case listsLate:
		a.listsEnd(c, m.id)
	case actors.StatusChanged:
		a.online = m.Status.State == "online"
		a.gate(c)
	case actors.PeerConnected:
		if a.acts() && a.asking[m.Peer] == 0 { // else it is being asked already
			a.step(c, a.rounds, netsync.Connected{Peer: m.Peer, Node: m.Conn.Features.IsNode()})
		}
		return
	case dht.PoolStarved:
		if a.acts() {
			a.step(c, a.recovery, netsync.Starved{})
		}
	case actors.StoreTroubled:
		a.step(c, a.rounds, netsync.Failed{Err: m.Err})
	case starvationTick:
		a.tick(c)
	case gateOpens:
		a.open(c)
	case machineDue:
		a.step(c, a.machine(m.machine), netsync.Due{})
	case dialling.PeerDialed:
		a.peerDialed(c, m)
	case dialLate:
		a.dialLate(c, m)
	case supervisor.Done[fetched]:
		a.fetched(c, m)
	case peerbook.PeerAdded:
		if m.Token == a.naming {
			a.seedAdded(c)
		} else if !a.peerAdded(c, m) {
			return
		}
	case namingLate:
		if m.token == a.naming {
			a.lookedUp(c)
		}
	case storeLate:
		a.storeLate(c, m)
	case supervisor.Done[namedSeeds]:
		a.resolved(c, m)
	default:
		supervisor.Unhandled(c)
		return
	}
	a.show()
}

// stepper is a machine of package internal/dht/netsync.
type stepper interface {
	Step(now time.Time, e netsync.Event) []netsync.Effect
}

// machine returns the machine that asks for syncs of this purpose.
func (a *netsyncActor) machine(p netsync.Purpose) stepper {
	switch p {
	case netsync.ForSeed:
		return a.bootstrap
	case netsync.ForRecovery:
		return a.recovery
	}
	return a.rounds
}

// acts reports whether the node asks of its own accord.
func (a *netsyncActor) acts() bool { return a.d.Automatic && a.d.Settings.Sync }

func (a *netsyncActor) started(c actor.Context) {
	supervisor.OwnFunc(c, a.answerWaiters)
	supervisor.Subscribe[actors.StatusChanged](c)
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[actors.StoreTroubled](c)
	supervisor.Subscribe[dht.PoolStarved](c)
	if a.d.exchange == nil {
		r := supervisor.Rand(c)
		a.d.exchange = newExchange(a.d, r.Uint64(), r.Uint64())
	}
	a.exchange = a.d.exchange
	a.asking = make(map[identity.NodeID]int)
	for _, p := range []netsync.Purpose{netsync.ForRound, netsync.ForSeed, netsync.ForRecovery} {
		a.step(c, a.machine(p), netsync.Restarted{})
	}
	supervisor.Every(c, netsync.TickEvery, starvationTick{})
	a.listSeeds()
	if !a.acts() {
		return
	}
	if !a.begun {
		a.lookUp(c)
		return
	}
	a.open(c)
}

// step tells a machine of an event and carries out its effects.
func (a *netsyncActor) step(c actor.Context, m stepper, e netsync.Event) {
	// The machine owns the slice, and an effect may lead to its next step.
	for _, f := range append([]netsync.Effect(nil), m.Step(supervisor.Now(c), e)...) {
		a.do(c, m, f)
	}
}

func (a *netsyncActor) do(c actor.Context, from stepper, f netsync.Effect) {
	switch f := f.(type) {
	case netsync.Sync:
		a.sync(c, f)
	case netsync.Abandon:
		a.abandon(syncKey{f.For, f.Peer})
	case netsync.Wake:
		supervisor.At(c, f.At, machineDue{purpose(from)})
	case netsync.Learned:
		supervisor.Publish(c, dht.PeersLearned{New: f.New})
	case netsync.RoundEnded:
		a.roundEnded(c, f.Round)
	case netsync.Bootstrapped:
		a.logSeeds(c)
		a.gate(c)
		a.hangUp(c)
	case netsync.Starving:
		supervisor.Publish(c, dht.PoolStarved{Outbound: f.Outbound, Target: f.Target})
	case netsync.Dial:
		a.dial(c, f.Peer)
	case netsync.Resolve:
		a.step(c, a.bootstrap, netsync.Starved{}) // the seeds are asked once
		a.lookUp(c)
	case netsync.Rebootstrapped:
		a.rebootstrapped(c, f)
	}
}

// logSeeds logs how the seeds have answered. That none has is a warning, because the node
// may not find anybody then.
func (a *netsyncActor) logSeeds(c actor.Context) {
	say := supervisor.Log(c).Debug
	if phase, _ := a.bootstrap.Phase(); phase == netsync.Ended && a.bootstrap.Answered() == 0 {
		say = supervisor.Log(c).Warn
	}
	say("asked the seeds for peers", "result", a.bootstrap.String())
}

func purpose(m stepper) netsync.Purpose {
	switch m.(type) {
	case *netsync.Bootstrap:
		return netsync.ForSeed
	case *netsync.Recovery:
		return netsync.ForRecovery
	}
	return netsync.ForRound
}

// gate tells Rounds whether the node is online. While the seeds are being asked for the
// first time and none has answered yet, a round would only ask them again.
func (a *netsyncActor) gate(c actor.Context) {
	phase, _ := a.bootstrap.Phase()
	asking := phase == netsync.NotBegun || phase == netsync.Bootstrapping && a.bootstrap.Answered() == 0
	if a.acts() && (a.opened || !asking) {
		a.open(c)
	}
}

func (a *netsyncActor) open(c actor.Context) {
	a.opened = true
	if a.online {
		a.step(c, a.rounds, netsync.Online{})
	} else {
		a.step(c, a.rounds, netsync.Offline{})
	}
}

// tick reports the outbound connections to Recovery, and hangs up seeds. The node does not
// want more connections than there are nodes.
func (a *netsyncActor) tick(c actor.Context) {
	// A peer that was known may have become a seed.
	if a.ticks++; a.Known() != a.listedAt || a.ticks%seedsEvery == 0 {
		a.listSeeds()
	}
	if !a.acts() {
		return
	}
	t := netsync.Tick{Outbound: a.outbound(), Target: a.d.Settings.Neighbours + a.d.Settings.Random}
	if 2*t.Outbound < t.Target {
		t.Spare = a.spare(t.Target)
		t.Target = min(t.Target, len(a.connectedNodes())+t.Spare)
	}
	a.step(c, a.recovery, t)
	a.hangUp(c)
	a.askSeed(c)
}

// syncNow begins a round. SyncNow is answered when it has ended.
func (a *netsyncActor) syncNow(c actor.Context, m SyncNow) {
	if c.Sender() == nil {
		return
	}
	if len(a.waiters) >= maxWaiters {
		c.Respond(Synced{Token: m.Token, Err: ErrTooManyAsk})
		return
	}
	if a.Known() != a.listedAt {
		a.listSeeds()
	}
	a.waiters = append(a.waiters, waiter{c.Sender(), m.Token})
	a.step(c, a.rounds, netsync.RoundWanted{})
}

func (a *netsyncActor) roundEnded(c actor.Context, r netsync.Round) {
	reply := Synced{Synced: dht.Synced{Result: dht.SyncResult{At: r.Ended, Asked: len(r.Answers), Answered: r.Answered(), New: r.New()}}}
	for _, g := range r.Answers {
		reply.Result.Known += g.Known
		reply.Result.Skipped += g.Skipped
		reply.Nodes = append(reply.Nodes, dht.SyncedNode{
			SeedState: dht.SeedState{Peer: g.Peer, At: r.Ended, Answered: g.Err == nil, Peers: g.New + g.Known, Err: g.Err},
			New:       g.New,
		})
	}
	if len(r.Answers) == 0 {
		reply.Err = ErrNobodyToAsk
	} else {
		a.last, a.answers = reply.Result, reply.Nodes
		supervisor.Log(c).Debug("asked nodes for peers", "n", reply.Result.Asked, "answered", reply.Result.Answered, "new", reply.Result.New)
	}
	for _, w := range a.waiters {
		reply.Token = w.token
		c.Send(w.to, reply)
	}
	a.waiters = nil
}

// answerWaiters answers the requests that wait when the incarnation ends.
func (a *netsyncActor) answerWaiters() {
	root := a.d.trunk.System().Root
	for _, w := range a.waiters {
		root.Send(w.to, Synced{Token: w.token, Err: ErrRoundLost})
	}
	for _, w := range a.lists.waiters {
		root.Send(w.to, PeersListed{Token: w.token, Asked: a.lists.asked})
	}
	a.waiters, a.lists = nil, listing{}
}

func (a *netsyncActor) rebootstrapped(c actor.Context, f netsync.Rebootstrapped) {
	a.rebootstraps++
	learned := 0
	for _, x := range f.Answers {
		learned += x.New
	}
	supervisor.Log(c).Info("asked seeds and connected nodes again, because too few connections are outbound", "n", len(f.Answers), "new", learned)
	supervisor.Publish(c, dht.Rebootstrapped{Asked: len(f.Answers), Learned: learned, Peers: f.Peers})
	a.gate(c)
	a.step(c, a.rounds, netsync.Recovered{})
	a.hangUp(c)
}

// show publishes the state for the inspector.
func (a *netsyncActor) show() {
	s := &SyncState{
		Phase: a.phase(), Last: a.last, Answers: a.answers, Seeds: a.seedStates(), BadSeedRecords: a.badRecords, SeedNameErr: a.namesErr, SeedTrouble: a.seedTrouble,
		Starved: a.recovery.Starved(), Rebootstraps: a.rebootstraps, Round: a.rounds.Number(),
	}
	if state, until := a.rounds.State(); state == netsync.Waiting {
		s.Next = until
	}
	a.d.states.sync.Store(s)
}

// String is the actor's line in the tree.
func (a *netsyncActor) String() string {
	return fmt.Sprintf("%s; %d rounds, %d rebootstraps", a.phase(), a.rounds.Number(), a.rebootstraps)
}

// phase returns in words what the actor does.
func (a *netsyncActor) phase() string {
	phase, _ := a.bootstrap.Phase()
	state, _ := a.rounds.State()
	running, _ := a.rounds.Running()
	switch {
	case a.recovery.Running():
		return "asks seeds and connected nodes again, because too few connections are outbound"
	case a.looking:
		return "looks up the names of seeds"
	case phase == netsync.Bootstrapping:
		return "asks the seeds for peers: " + a.bootstrap.String()
	case state == netsync.Discovering:
		return fmt.Sprintf("asks %s for peers", nodes(running.Asked))
	case !a.acts():
		return "asks for peers only on request"
	case state == netsync.Initializing && phase == netsync.NoSeeds && a.Known() == 0:
		return "waits for a first connection; no seed and no other node is known"
	case state == netsync.Initializing && a.online:
		return "begins in a moment"
	case state == netsync.Initializing:
		return "waits for a first connection"
	}
	return state.String()
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// syncKey names a sync. A peer is asked once at a time for one purpose.
type syncKey struct {
	purpose netsync.Purpose
	peer    identity.NodeID
}
