package discoverypart

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// fetchLimit bounds the whole of a fetch.
const fetchLimit = time.Minute

// fetching is a request for the peers that another node knows.
type fetching struct {
	From    identity.NodeID
	N       int
	Clients bool // clients too
	// Connected says that the node was connected before this one chose to ask it; see
	// [netsync.Asking].
	Connected bool
}

// fetched is the answer to a request for peers.
type fetched struct {
	Peers  []fetchedPeer
	Counts [netsync.Bad + 1]int // items by their result
	// Err is why the answer is not complete: a [protocol.Violation] if the node that
	// gave it must be banned. Peers that came before are good all the same.
	Err error
}

// fetchedPeer is a peer to store.
type fetchedPeer struct {
	peerstore.Peer
	New bool // not known before
}

// Skipped returns how many items are of no use.
func (f *fetched) Skipped() int { return f.Counts[netsync.Unusable] + f.Counts[netsync.Bad] }

// fetch asks a node for the peers that it knows and checks the answer. It runs in a task, and
// takes fetchLimit at most.
func (d *Discovery) fetch(ctx context.Context, f fetching) (r fetched) {
	reading := netsync.NewReading(netsync.Asking{
		Self: d.trunk.Secret().PublicKey(), N: f.N, Connected: f.Connected,
		Known: d.claimDate,
		Rules: d.rules(),
	})
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	ctx, step := withSteps(ctx, d.trunk.Now, netsync.OpenLimit)
	defer step.stop()
	var (
		origin  peerstore.Origin
		over    ma.Multiaddr
		offence error
	)
	open := func(b []byte) ([]byte, error) {
		reading.Opened()
		if ref, ok := d.trunk.Connection(f.From); ok {
			origin, over = ref.Origin(), ref.Remote()
		}
		step.next(netsync.ItemLimit)
		return reading.Request(f.Clients).Append(b), nil
	}
	item := func(b []byte) error {
		step.next(netsync.ItemLimit)
		claim, result, err := reading.Item(d.trunk.Wall(), b)
		if err != nil {
			offence = err
			return err
		}
		if result == netsync.New || result == netsync.Newer {
			p := peerstore.FromClaim(claim, peerstore.AnotherPeer).HeardOver(over)
			p.Origin = origin
			r.Peers = append(r.Peers, fetchedPeer{p, result == netsync.New})
		}
		return nil
	}
	err := d.Client(f.From).Invoke(ctx, netsync.MethodGetPeers, true, open, item)
	switch cause := context.Cause(ctx); {
	case offence != nil:
		err = offence
	case err != nil && errors.Is(cause, netsync.ErrStalled):
		err = cause
	}
	r.Counts, r.Err = reading.Counts, reading.End(err)
	return r
}

// claimDate returns the date of the stored claim of a peer, negative if there is none, and
// whether the peer is known.
func (d *Discovery) claimDate(key identity.PublicKey) (updatedAt int64, ok bool) {
	p, ok := d.trunk.Store().ByKey(key)
	if !ok || p.Claim == nil {
		return -1, ok
	}
	return p.Claim.Signature.UpdatedAt, true
}

// steps cancels a context when a step takes too long. Only one timer runs, so that a step
// costs little.
type steps struct {
	now    func() time.Time
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	limit time.Duration
	end   time.Time // of the running step
	timer context.CancelFunc
	over  bool
}

// withSteps returns a context that is cancelled with [netsync.ErrStalled] when the first
// step, or one that next has begun, takes longer than its limit. The caller calls stop in the
// end.
func withSteps(parent context.Context, now func() time.Time, limit time.Duration) (context.Context, *steps) {
	ctx, cancel := context.WithCancelCause(parent)
	s := &steps{now: now, cancel: cancel}
	s.next(limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arm(limit)
	return ctx, s
}

// next begins the next step.
func (s *steps) next(limit time.Duration) {
	end := s.now().Add(limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	shorter := end.Before(s.end)
	s.limit, s.end = limit, end
	if shorter && !s.over {
		s.timer()
		s.arm(limit)
	}
}

// arm checks the running step after d. The caller holds s.mu.
func (s *steps) arm(d time.Duration) {
	timer, stop := context.WithTimeout(context.Background(), d)
	s.timer = stop
	context.AfterFunc(timer, func() {
		if errors.Is(timer.Err(), context.DeadlineExceeded) {
			stop()
			s.check()
		}
	})
}

func (s *steps) check() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch left := s.end.Sub(now); {
	case s.over:
	case left > 0:
		s.arm(left)
	default:
		s.over = true
		s.cancel(fmt.Errorf("%w: nothing for %v", netsync.ErrStalled, s.limit))
	}
}

func (s *steps) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.timer()
	s.cancel(nil)
}
