package discoverypart

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// syncing is a sync under way: dial, read the list, store the peers.
type syncing struct {
	netsync.Sync
	token   uint64
	dialing *supervisor.Timer // limit of the dial; nil: it is over
	cancel  func()            // of the reading; nil: it has not begun, or is over
	conn    *actors.ConnRef
	storing map[identity.NodeID]bool // peers on their way to the store; true: unknown before
	result  netsync.Synced
}

// storeLimit is how long the actor peers may take to store the peers of one list.
const storeLimit = 10 * time.Second

// storeTime is what is left of the time of a sync after the reading, so that the peers of an
// unfinished list are stored before the sync is late.
const storeTime = time.Second

type (
	dialLate  struct{ token uint64 }
	storeLate struct{ token uint64 }
)

var errDialLate = errors.New("discovery: no connection within the time limit")

// sync begins a sync.
func (a *netsyncActor) sync(c actor.Context, f netsync.Sync) {
	s := &syncing{Sync: f, token: a.d.trunk.NewID(), result: netsync.Synced{For: f.For, Peer: f.Peer}}
	a.syncs[s.token], a.running[syncKey{f.For, f.Peer}] = s, s.token
	a.asking[f.Peer]++
	if ref, ok := a.d.trunk.Connection(f.Peer); ok {
		a.fetch(c, s, ref)
		return
	}
	a.d.trunk.DialAutomatically(s.token, f.Peer, c.Self(), "discovery")
	s.dialing = supervisor.After(c, min(netsync.DialLimit, f.Until.Sub(supervisor.Now(c))), dialLate{s.token})
}

// abandon ends a sync that is no longer needed.
func (a *netsyncActor) abandon(key syncKey) {
	s := a.syncs[a.running[key]]
	switch {
	case s == nil:
	case s.dialing != nil:
		a.d.trunk.CancelDial(s.token, s.Peer, a.d.Netsync) // its reply ends the sync
	case s.cancel != nil:
		s.cancel()
	}
}

// dial dials a peer for Recovery.
func (a *netsyncActor) dial(c actor.Context, peer identity.NodeID) {
	token := a.d.trunk.NewID()
	a.dials[token] = peer
	a.d.trunk.DialAutomatically(token, peer, c.Self(), "discovery")
}

func (a *netsyncActor) peerDialed(c actor.Context, m dialling.PeerDialed) {
	if peer, ok := a.dials[m.Token]; ok {
		delete(a.dials, m.Token)
		a.step(c, a.recovery, netsync.Dialled{Peer: peer, Err: m.Err})
		return
	}
	s := a.syncs[m.Token]
	if s == nil || s.dialing == nil {
		return
	}
	s.dialing.Stop()
	s.dialing = nil
	if m.Err != nil {
		a.end(c, s, m.Err)
		return
	}
	a.fetch(c, s, m.Conn)
}

func (a *netsyncActor) dialLate(c actor.Context, m dialLate) {
	s := a.syncs[m.token]
	if s == nil || s.dialing == nil {
		return
	}
	s.dialing = nil
	a.d.trunk.CancelDial(s.token, s.Peer, c.Self())
	a.end(c, s, errDialLate)
}

// fetch reads the list of a connected peer, in a task.
func (a *netsyncActor) fetch(c actor.Context, s *syncing, ref *actors.ConnRef) {
	s.conn = ref
	limit := s.Until.Sub(supervisor.Now(c)) - storeTime
	s.cancel = supervisor.Do(c, s.token, func(ctx context.Context) (fetched, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return a.d.fetch(ctx, fetching{From: s.Peer, N: s.N, Clients: s.Clients, Connected: s.Connected}), nil
	})
}

// fetched stores the peers of a list. Those before a fault count as well.
func (a *netsyncActor) fetched(c actor.Context, m supervisor.Done[fetched]) {
	s := a.syncs[m.Key.(uint64)]
	if s == nil {
		return
	}
	list := m.Value
	err := cmp.Or(list.Err, m.Err) // m.Err: the task has panicked
	s.cancel, s.result.Err = nil, err
	s.result.Known, s.result.Skipped = list.Counts[netsync.Known], list.Skipped()
	if _, ok := errors.AsType[*protocol.Violation](err); ok {
		c.Send(a.d.trunk.Connectivity(), base.PeerViolated{
			Peer: s.Peer, Key: s.conn.Key, Conn: s.conn.ID, Err: err, Origin: s.conn.Origin(),
		})
	}
	s.storing = make(map[identity.NodeID]bool)
	stored := 0
	for _, p := range list.Peers {
		if p.New {
			if stored++; s.Store > 0 && stored > s.Store {
				s.result.Skipped++
				continue
			}
		}
		s.storing[p.ID] = p.New
		s.result.Peers = append(s.result.Peers, p.ID)
		a.d.trunk.AddPeer(s.token, p.Peer, c.Self())
	}
	if len(s.storing) == 0 {
		a.end(c, s, s.result.Err)
		return
	}
	supervisor.After(c, storeLimit, storeLate{s.token})
}

// peerAdded counts a peer that was stored. The sync ends with the last one, and peerAdded
// reports whether it has.
func (a *netsyncActor) peerAdded(c actor.Context, m peerbook.PeerAdded) (ended bool) {
	s := a.syncs[m.Token]
	if s == nil {
		return false
	}
	unknown, ok := s.storing[m.Peer]
	switch {
	case !ok:
		return false
	case m.Err != nil:
		s.result.Skipped++
	case unknown:
		s.result.New++
	default:
		s.result.Known++
	}
	if delete(s.storing, m.Peer); len(s.storing) > 0 {
		return false
	}
	a.end(c, s, s.result.Err)
	return true
}

func (a *netsyncActor) storeLate(c actor.Context, m storeLate) {
	if s := a.syncs[m.token]; s != nil && len(s.storing) > 0 {
		a.end(c, s, s.result.Err)
	}
}

// end ends a sync and tells the machine that has asked for it.
func (a *netsyncActor) end(c actor.Context, s *syncing, err error) {
	delete(a.syncs, s.token)
	if a.asking[s.Peer]--; a.asking[s.Peer] == 0 {
		delete(a.asking, s.Peer)
	}
	if key := (syncKey{s.For, s.Peer}); a.running[key] == s.token {
		delete(a.running, key)
	}
	s.result.Err = err
	before, asked := a.seeds[s.Peer]
	switch {
	case errors.Is(err, actors.ErrDialCancelled), errors.Is(err, actors.ErrClosing), errors.Is(err, context.Canceled): // it says nothing of the seed
	case !a.seedAsked(supervisor.Now(c), s.Peer, s.result.New+s.result.Known, err):
	case err == nil && !before.Answered:
		supervisor.Log(c).Info("seed answered", "peer", s.Peer, "peers", s.result.New+s.result.Known)
	case err != nil && (before.Answered || !asked):
		supervisor.Log(c).Info("seed does not answer", "peer", s.Peer, "err", err)
	}
	if s.For == netsync.ForSearch {
		a.listEnded(c, s)
		return
	}
	a.step(c, a.machine(s.For), s.result)
	if s.For == netsync.ForSeed {
		a.gate(c)
	}
}
