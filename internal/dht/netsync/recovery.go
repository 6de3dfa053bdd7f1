package netsync

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Limits of a recovery.
//
// spec: versions 7, rebootstrap.
const (
	ResolveLimit     = 10 * time.Second
	RecoveryStore    = 50  // peers of one source that are stored
	MaxLearned       = 200 // peers that a recovery recommends
	recoveryAsk      = 250 // peers that each source is asked for
	recoverySources  = 5   // of each kind
	inboundShare     = 4   // one of so many learned peers may come from inbound sources
	inboundRemembers = 6 * time.Hour
	dialsAtOnce      = 4 // of learned peers
)

// Kind says how a source of peers is connected. A seed is a Seed in any case.
type Kind uint8

const (
	SeedSource Kind = iota
	OutboundSource
	InboundSource
)

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case SeedSource:
		return "seed"
	case OutboundSource:
		return "outbound"
	}
	return "inbound"
}

// Source is a peer that a recovery may ask.
type Source struct {
	Peer      identity.NodeID
	Seed      bool
	Connected bool
	Outbound  bool // this node has dialled it
}

// Sources is what Recovery knows of peers.
type Sources interface {
	// Sources returns the seeds and the connected nodes that may be asked, in random
	// order.
	Sources() []Source
}

// Answer is what a source of a recovery gave.
type Answer struct {
	Peer       identity.NodeID
	Kind       Kind
	New, Known int
	Peers      []identity.NodeID
	Err        error
}

// Recovery asks seeds and connected nodes for peers when the node is starved of outbound
// connections. It is not safe for concurrent use.
type Recovery struct {
	view      Sources
	starved   starvation
	resolving time.Time // until when the names of seeds are looked up; zero: they are not
	running   bool
	asked     asked
	answers   []Answer                     // of all sources of this recovery
	inbound   Recent                       // peers that only inbound sources have named
	learned   []identity.NodeID            // to be dialled, in this order
	dialling  map[identity.NodeID]struct{} // of these
	missing   int                          // outbound connections, as of the last tick and the dials since
	effects
}

// NewRecovery returns a machine that waits for ticks.
func NewRecovery(v Sources, r *rand.Rand) *Recovery {
	return &Recovery{view: v, starved: starvation{random: r}, asked: make(asked), dialling: make(map[identity.NodeID]struct{})}
}

// Running reports whether a recovery is under way.
func (r *Recovery) Running() bool { return r.running || !r.resolving.IsZero() }

// Starved returns since when the node is starved; zero: it is not, or not for long enough.
func (r *Recovery) Starved() time.Time {
	if !r.starved.shown {
		return time.Time{}
	}
	return r.starved.since
}

// Next returns when the next recovery may begin; zero: at once.
func (r *Recovery) Next() time.Time { return r.starved.free }

// Step applies one event and returns its effects, in order. The slice is valid until
// the next Step.
func (r *Recovery) Step(now time.Time, e Event) []Effect {
	r.begin(e)
	switch e := e.(type) {
	case Tick:
		if r.missing = (e.Target+1)/2 - e.Outbound; r.missing <= 0 {
			r.learned = nil
		}
		if r.starved.tick(now, e) && !r.Running() {
			r.do(Starving{e.Outbound, e.Target})
			r.recover(now)
		}
	case Starved:
		if !r.Running() && r.starved.may(now) {
			r.recover(now)
		}
	case Resolved:
		r.ask(now)
	case Synced:
		if e.For == ForRecovery {
			r.synced(now, e)
		}
	case Dialled:
		if _, ok := r.dialling[e.Peer]; ok && e.Err == nil {
			r.missing--
		}
		delete(r.dialling, e.Peer)
	case Restarted:
		r.wakes = nil
		clear(r.dialling)
		if !r.resolving.IsZero() {
			r.resolving = now.Add(ResolveLimit)
			r.do(Resolve{})
		}
		for _, peer := range r.asked.all() {
			r.answer(Synced{Peer: peer, Err: ErrAbandoned})
		}
	case Due:
		if !r.resolving.IsZero() && !r.resolving.After(now) {
			r.ask(now)
		}
		for _, peer := range r.asked.late(now) {
			r.do(Abandon{ForRecovery, peer})
			r.answer(Synced{Peer: peer, Err: ErrTimeLimit})
		}
	}
	r.end(now)
	r.dial()
	r.wake(deadline.Earlier(r.resolving, r.asked.first()))
	return r.out
}

func (r *Recovery) recover(now time.Time) {
	r.starved.recovering(now)
	r.resolving = now.Add(ResolveLimit)
	r.do(Resolve{})
}

// ask asks seeds and connected nodes, side by side.
func (r *Recovery) ask(now time.Time) {
	if r.resolving.IsZero() {
		return
	}
	r.resolving, r.running, r.answers = time.Time{}, true, nil
	for _, s := range choose(r.view.Sources()) {
		kind := OutboundSource
		switch {
		case s.Seed:
			kind = SeedSource
		case !s.Outbound || r.inbound.Has(now, s.Peer): // a node that only inbound ones named is one of theirs
			kind = InboundSource
		}
		r.answers = append(r.answers, Answer{Peer: s.Peer, Kind: kind, Err: ErrTimeLimit})
		r.asked[s.Peer] = now.Add(SyncLimit)
		r.do(Sync{
			For: ForRecovery, Peer: s.Peer, N: recoveryAsk, Store: RecoveryStore,
			Connected: s.Connected, Until: now.Add(SyncLimit),
		})
	}
	slices.SortStableFunc(r.answers, func(a, b Answer) int { return int(a.Kind) - int(b.Kind) })
}

// choose returns up to five seeds, connected ones first, and up to five other connected
// nodes, outbound ones first.
func choose(all []Source) (chosen []Source) {
	var seeds, others []Source
	for _, s := range all {
		switch {
		case s.Seed:
			seeds = append(seeds, s)
		case s.Connected:
			others = append(others, s)
		}
	}
	first := func(is func(Source) bool) func(a, b Source) int {
		return func(a, b Source) int {
			switch {
			case is(a) == is(b):
				return 0
			case is(a):
				return -1
			}
			return 1
		}
	}
	slices.SortStableFunc(seeds, first(func(s Source) bool { return s.Connected }))
	slices.SortStableFunc(others, first(func(s Source) bool { return s.Outbound }))
	return append(seeds[:min(len(seeds), recoverySources)], others[:min(len(others), recoverySources)]...)
}

func (r *Recovery) synced(now time.Time, e Synced) {
	if e.New > 0 {
		r.do(Learned{e.Peer, e.New})
	}
	if r.asked.took(e.Peer) {
		r.answer(e)
	}
}

func (r *Recovery) answer(e Synced) {
	i := slices.IndexFunc(r.answers, func(a Answer) bool { return a.Peer == e.Peer })
	a := &r.answers[i]
	a.New, a.Known, a.Err = e.New, e.Known, e.Err
	if !errors.Is(e.Err, protocol.ErrViolation) {
		a.Peers = slices.Clone(e.Peers[:min(len(e.Peers), recoveryAsk)])
	}
}

// end ends the recovery when all sources have answered or lost their time.
func (r *Recovery) end(now time.Time) {
	if !r.running || len(r.asked) > 0 {
		return
	}
	r.running = false
	r.suspect(now)
	r.learned = interleave(r.answers, MaxLearned)
	r.do(Rebootstrapped{Answers: r.answers, Peers: slices.Clone(r.learned)})
	r.answers = nil
}

// dial dials learned peers, a few at once, until the node is not starved any more. So the
// places that inbound connections take in the sets do not keep it from dialling.
func (r *Recovery) dial() {
	for r.missing > len(r.dialling) && len(r.learned) > 0 && len(r.dialling) < dialsAtOnce {
		peer := r.learned[0]
		r.learned = r.learned[1:]
		if _, ok := r.dialling[peer]; ok {
			continue
		}
		r.dialling[peer] = struct{}{}
		r.do(Dial{peer})
	}
}

// suspect remembers the peers that only inbound sources named.
func (r *Recovery) suspect(now time.Time) {
	vouched := vouched(r.answers)
	for _, a := range r.answers {
		for _, peer := range a.Peers {
			if !vouched[peer] {
				r.inbound.Add(now, peer, now.Add(inboundRemembers))
			}
		}
	}
}

// vouched returns the peers that a source other than an inbound one named.
func vouched(answers []Answer) map[identity.NodeID]bool {
	peers := make(map[identity.NodeID]bool)
	for _, a := range answers {
		for _, peer := range a.Peers {
			if a.Kind != InboundSource {
				peers[peer] = true
			}
		}
	}
	return peers
}

// interleave returns up to most peers of the answers: the first of each in turn, then the
// second of each, and so on. At most a quarter of them was named by inbound sources only,
// unless nobody else named any: then it is up to a quarter of most.
func interleave(answers []Answer, most int) (peers []identity.NodeID) {
	vouched := vouched(answers)
	suspects := most / inboundShare
	if len(vouched) > 0 {
		suspects = min(suspects, len(vouched)/(inboundShare-1))
	}
	seen := make(map[identity.NodeID]bool)
	next := make([]int, len(answers))
	for more := true; more; {
		more = false
		for i, a := range answers {
			for next[i] < len(a.Peers) {
				peer := a.Peers[next[i]]
				next[i]++
				if seen[peer] || a.Kind == InboundSource && (vouched[peer] || suspects == 0) {
					continue
				}
				if a.Kind == InboundSource {
					suspects--
				}
				if peers = append(peers, peer); len(peers) == most {
					return peers
				}
				seen[peer], more = true, true
				break
			}
		}
	}
	return peers
}
