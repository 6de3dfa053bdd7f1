package netsync

import (
	"cmp"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// The methods of the service (spec: dht 9).
const (
	MethodGetCloserPeers = 1
	MethodGetPeers       = 10
)

// Limits of the requests for peers (spec: dht 9, V23).
const (
	MaxPeers       = 500  // of an answer to GetPeers
	MaxCloserPeers = 100  // of an answer to GetCloserPeers
	MaxExcluded    = 1000 // ids that a GetCloserPeers may exclude

	// ReachedWithin is how recently a peer that is passed on must have been reached.
	ReachedWithin = 60 * time.Hour
)

// Candidate is a known peer that may be passed on to others.
type Candidate struct {
	ID        identity.NodeID
	Features  identity.Features
	Banned    bool
	Failed    bool            // the last dial of each of its addresses failed
	Connected bool            // has a live connection
	Reached   time.Time       // time of its last successful dial, or zero
	Claim     *identity.Claim // verified; nil: it cannot be passed on
}

// Rules are a node's choices about the peers that it passes on.
type Rules struct {
	TestAddresses bool          // pass on addresses that only test networks use
	ReachedWithin time.Duration // 0: [ReachedWithin]
}

// Peers returns the claims of the peers for the answer to a GetPeers of the caller, in
// random order: a connected peer has twice the weight of one that was reached 12 h ago.
// It looks at every known peer once. A request with bad arguments gets
// [rpc.BadRequest].
func (r Rules) Peers(now time.Time, caller identity.NodeID, q wire.GetPeers, known iter.Seq[Candidate], random *rand.Rand) ([]*identity.Claim, error) {
	if err := checkLimits(q.MaxClaims, q.MaxAddressesPerClaim); err != nil {
		return nil, err
	}
	// The n least of exponentially distributed numbers, each divided by the weight of its
	// peer, are a weighted sample without replacement in random order.
	chosen := best[float64]{n: MostPeers(q), compare: cmp.Compare[float64]}
	for c := range known {
		age, ok := r.fresh(now, c)
		if !ok || c.ID == caller || !q.IncludeClients && !c.Features.IsNode() {
			continue
		}
		key := random.ExpFloat64() * math.Exp2(age.Hours()/halfWeight.Hours())
		if chosen.wants(key) && r.passable(c.Claim, q.MaxAddressesPerClaim) {
			chosen.add(key, c)
		}
	}
	return chosen.claims(), nil
}

// MostPeers returns how many peers the answer to a GetPeers has at most.
func MostPeers(q wire.GetPeers) int {
	if q.N == 0 {
		return MaxPeers
	}
	return int(min(q.N, MaxPeers))
}

// halfWeight is the age after which a peer has half the weight in an answer.
const halfWeight = 12 * time.Hour

// CloserPeers returns the claims of the peers for the answer to a GetCloserPeers of the
// caller, nearest first. It looks at every known peer once. A request with bad arguments
// gets [rpc.BadRequest].
func (r Rules) CloserPeers(now time.Time, caller identity.NodeID, q wire.GetCloserPeers, known iter.Seq[Candidate]) ([]*identity.Claim, error) {
	if q.N == 0 || q.N > MaxCloserPeers {
		return nil, rpc.Errorf(rpc.BadRequest, "%d peers wanted; ask for 1 to %d", q.N, MaxCloserPeers)
	}
	if err := checkLimits(q.MaxClaims, q.MaxAddressesPerClaim); err != nil {
		return nil, err
	}
	target := caller
	if len(q.CloserTo) > 0 {
		var err error
		if target, err = identity.NodeIDFromBytes(q.CloserTo); err != nil {
			return nil, rpc.Errorf(rpc.BadRequest, "closer_to is no node id: %d bytes", len(q.CloserTo))
		}
	}
	if len(q.Excluded) > MaxExcluded {
		return nil, rpc.Errorf(rpc.BadRequest, "%d ids excluded; at most %d", len(q.Excluded), MaxExcluded)
	}
	excluded := make(map[identity.NodeID]struct{}, len(q.Excluded))
	for _, b := range q.Excluded {
		id, err := identity.NodeIDFromBytes(b)
		if err != nil {
			return nil, rpc.Errorf(rpc.BadRequest, "an excluded id of %d bytes", len(b))
		}
		excluded[id] = struct{}{}
	}
	chosen := best[identity.Distance]{n: int(q.N), compare: identity.Distance.Cmp}
	for c := range known {
		_, ok := r.fresh(now, c)
		if !ok || c.ID == caller || !q.IncludeClients && !c.Features.IsNode() {
			continue
		}
		if _, ok := excluded[c.ID]; ok {
			continue
		}
		key := target.Distance(c.ID)
		if chosen.wants(key) && r.passable(c.Claim, q.MaxAddressesPerClaim) {
			chosen.add(key, c)
		}
	}
	return chosen.claims(), nil
}

func checkLimits(claims, addresses uint32) error {
	switch {
	case claims == 0:
		return rpc.Errorf(rpc.BadRequest, "max_claims is 0")
	case addresses == 0:
		return rpc.Errorf(rpc.BadRequest, "max_addresses_per_claim is 0")
	}
	return nil
}

// fresh reports whether the peer may be passed on, except for its claim, and how long ago
// it was reached. A connected peer counts as reached now, and so does one with a time in the
// future, from before the clock was set back.
func (r Rules) fresh(now time.Time, c Candidate) (age time.Duration, ok bool) {
	switch {
	case c.Banned, c.Claim == nil:
		return 0, false
	case c.Connected:
		return 0, true
	case c.Failed, c.Reached.IsZero():
		return 0, false
	}
	age = max(now.Sub(c.Reached), 0)
	return age, age <= cmp.Or(r.ReachedWithin, ReachedWithin)
}

// passable reports whether a claim may be passed on. A claim is signed over all its
// addresses, so it is passed on whole or not at all: some releases ban for a single address
// that is not external.
func (r Rules) passable(c *identity.Claim, most uint32) bool {
	n := len(c.Addresses)
	return n > 0 && uint64(n) <= uint64(most) &&
		!slices.ContainsFunc(c.Addresses, func(a []byte) bool { return !address.UsableBytes(a, r.TestAddresses) })
}

// best keeps the n candidates with the least keys.
type best[K any] struct {
	n       int
	compare func(a, b K) int
	list    []keyed[K]
	full    bool // a candidate with limit or more is not among the n
	limit   K
}

type keyed[K any] struct {
	key   K
	id    identity.NodeID
	claim *identity.Claim
}

func (b *best[K]) wants(key K) bool { return !b.full || b.compare(key, b.limit) < 0 }

// add adds a candidate. Every n of them it drops those beyond the best n, so that it
// sorts little and often enough.
func (b *best[K]) add(key K, c Candidate) {
	b.list = append(b.list, keyed[K]{key, c.ID, c.Claim})
	if len(b.list) == 2*b.n {
		b.cut()
		b.full, b.limit = true, b.list[b.n-1].key
	}
}

func (b *best[K]) cut() {
	slices.SortFunc(b.list, func(x, y keyed[K]) int {
		return cmp.Or(b.compare(x.key, y.key), x.id.Compare(y.id))
	})
	b.list = b.list[:min(b.n, len(b.list))]
}

func (b *best[K]) claims() []*identity.Claim {
	b.cut()
	claims := make([]*identity.Claim, len(b.list))
	for i, c := range b.list {
		claims[i] = c.claim
	}
	return claims
}
