package discoverypart

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Service returns the service [ServiceID], which hands out the peers that this node knows.
// ok is false for a node that does not offer it, because it is a client.
func (d *Discovery) Service() (s rpc.Service, ok bool) {
	if !d.trunk.Features().IsNode() {
		return rpc.Service{}, false
	}
	return rpc.Service{Protocol: ServiceID, Methods: []rpc.Method{
		rpc.StreamBytes(netsync.MethodGetPeers, d.getPeers),
		rpc.StreamBytes(netsync.MethodGetCloserPeers, d.getCloserPeers),
	}}, true
}

// requests is what the methods of the service share. They run on the goroutines of their
// sessions.
type requests struct {
	mu    sync.Mutex
	quota netsync.Quota
}

// serveLimit bounds an answer to a client that reads slowly, because its session takes a
// place.
const serveLimit = 2 * time.Minute

// peers are the items of an answer.
type peers = iter.Seq2[*wire.PeerInfo, error]

func (d *Discovery) getPeers(ctx context.Context, payload []byte) peers {
	q, err := wire.DecodeGetPeers(payload)
	if err != nil {
		return badRequest(err)
	}
	return d.serve(ctx, netsync.MostPeers(q), func(caller identity.NodeID) ([]*identity.Claim, error) {
		random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		return d.serving().Peers(d.trunk.Wall(), caller, q, d.candidates(), random)
	})
}

func (d *Discovery) getCloserPeers(ctx context.Context, payload []byte) peers {
	q, err := wire.DecodeGetCloserPeers(payload)
	if err != nil {
		return badRequest(err)
	}
	return d.serve(ctx, netsync.MaxCloserPeers, func(caller identity.NodeID) ([]*identity.Claim, error) {
		return d.serving().CloserPeers(d.trunk.Wall(), caller, q, d.candidates())
	})
}

func badRequest(err error) peers {
	return func(yield func(*wire.PeerInfo, error) bool) {
		yield(nil, rpc.Errorf(rpc.BadRequest, "%v", err))
	}
}

// serve answers a request, for which choose selects at most most peers, unless the quota is
// used up. Then the answer is [netsync.Busy], and for nodes of other implementations an empty
// list, because some of them ban for every status.
func (d *Discovery) serve(ctx context.Context, most int, choose func(caller identity.NodeID) ([]*identity.Claim, error)) peers {
	return func(yield func(*wire.PeerInfo, error) bool) {
		caller, ok := rpc.CallerOf(ctx)
		if !ok || !d.mayAsk(caller.Peer, most) {
			d.states.refused.Add(1)
			if ref, ok := d.trunk.Connection(caller.Peer); ok && useragent.Ours(ref.UserAgent) {
				yield(nil, rpc.Errorf(netsync.Busy, "too many requests for peers; ask again in a minute"))
			}
			return
		}
		chosen, err := choose(caller.Peer)
		if err != nil {
			yield(nil, err)
			return
		}
		d.states.served.Add(1)
		end := d.trunk.Now().Add(serveLimit)
		for _, c := range chosen {
			if d.trunk.Now().After(end) {
				yield(nil, rpc.Errorf(rpc.Timeout, "the peers were not read within %v", serveLimit))
				return
			}
			info := wire.NewPeerInfo(c.Key, *c)
			if !yield(&info, nil) {
				return
			}
			d.states.peers.Add(1)
		}
	}
}

func (d *Discovery) mayAsk(caller identity.NodeID, most int) bool {
	r := &d.requests
	known, now := d.trunk.Store().Len(), d.trunk.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.quota.Take(now, caller, known, most)
}

func (d *Discovery) serving() netsync.Rules {
	return netsync.Rules{TestAddresses: d.trunk.Profile().TestAddresses, ReachedWithin: d.ServeWithin}
}

// candidates returns all known peers.
func (d *Discovery) candidates() iter.Seq[netsync.Candidate] {
	return func(yield func(netsync.Candidate) bool) {
		wall := d.trunk.Wall()
		for p := range d.trunk.Store().All() {
			if p.Claim == nil {
				continue
			}
			_, connected := d.trunk.Connection(p.ID)
			if !yield(candidate(p, connected, p.Banned(wall))) {
				return
			}
		}
	}
}

func candidate(p peerstore.Peer, connected, banned bool) netsync.Candidate {
	return netsync.Candidate{
		ID: p.ID, Features: p.Features, Banned: banned, Failed: p.Offline(), Connected: connected,
		Reached: p.LastSeen(), Claim: p.Claim,
	}
}
