package discovery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
)

// Limits of searches.
const (
	MaxSearches   = 256              // at a time
	MaxWaiters    = 256              // of one search
	SearchTimeout = 2 * time.Minute  // for the answer to a Discovery (spec: dht 7.3)
	ListsTimeout  = 10 * time.Second // for the peer lists of connected nodes (spec: V22)
)

// answerAhead is how long before its time a waiter learns that nobody has answered, so
// that the waiter can still say so.
const answerAhead = 250 * time.Millisecond

// Errors that a search ends with.
var (
	// ErrNobodyToAsk reports a search that reached no node.
	ErrNobodyToAsk = errors.New("dht: no connected node to ask")
	// ErrNotFound reports a search that nobody has answered in time.
	ErrNotFound = errors.New("dht: nobody has answered the search")
	// ErrBannedPeer reports a search for a known peer that is banned here.
	ErrBannedPeer = errors.New("dht: the peer searched for is known, and banned here")
	// ErrTooManySearches reports a search over [MaxSearches] or [MaxWaiters].
	ErrTooManySearches = errors.New("dht: too many searches")
)

// Stage is what a search is doing.
type Stage uint8

const (
	StageLists     Stage = iota + 1 // waits for the peer lists of connected nodes
	StageBroadcast                  // waits for the answer to its Discovery
)

// String returns the stage in words.
func (s Stage) String() string {
	switch s {
	case StageLists:
		return "asking connected nodes for peers"
	case StageBroadcast:
		return "asking the network"
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// Searches finds the holders of keys: first in the peer lists of connected nodes, which
// need no node that relays, then by a Discovery that nodes relay to the holder. A search
// ends as soon as the peer store has the peer, whoever told us about it (spec: dht 7.3,
// V22).
type Searches[W any] struct {
	self    identity.PublicKey
	timeout time.Duration
	random  *rand.Rand
	running []*search[W] // oldest first
	asking  bool         // for peer lists
	stats   SearchStats
	out     []SearchEffect
}

type search[W any] struct {
	key     identity.PublicKey
	stage   Stage
	begin   time.Time
	limit   time.Time // of the stage
	nonce   uint64    // of the Discovery
	waiters []waiter[W]
}

type waiter[W any] struct {
	who   W
	until time.Time
}

// SearchStats counts searches.
type SearchStats struct {
	Begun   uint64                     // searches of a peer that was not known
	Known   uint64                     // requests for a peer that was known already
	Found   [StageBroadcast + 1]uint64 // by the stage in which the peer was found
	Nobody  uint64                     // failed because there was no node to ask
	Silent  uint64                     // failed because nobody answered in time
	Failed  uint64                     // failed because the Discovery was not sent, or the answer was bad
	GaveUp  uint64                     // requests that ended before their search
	Refused uint64                     // requests over a limit
}

// SearchState describes a running search.
type SearchState struct {
	Key     identity.PublicKey
	Stage   Stage
	Since   time.Time
	Waiters int
}

// Knowledge is what the peer store says about a peer.
type Knowledge uint8

const (
	Unknown Knowledge = iota // no record, or none that could be reached
	Known
	KnownBanned
)

// SearchEvent is something that happened to searches. It is one of [Find], [Stored],
// [ListsEnded], [SendEnded], [SearchFailed] and [Tick].
type SearchEvent interface{ searchEvent() }

type (
	// Find is a request of a waiter for the holder of a key, until the time Until.
	Find[W any] struct {
		Waiter W
		Key    identity.PublicKey
		Until  time.Time
		Peer   Knowledge
	}
	// Stored says that the peer store has the peer.
	Stored struct{ Key identity.PublicKey }
	// ListsEnded says that the peer lists have been read, or that there was nobody to ask.
	// The peers of the lists are in the peer store by then, and Stored has reported them.
	ListsEnded struct{}
	// SendEnded says how many nodes got the Discovery with the nonce.
	SendEnded struct {
		Nonce   uint64
		Reached int
	}
	// SearchFailed says that the Discovery with the nonce was not sent, or that the
	// response to it was bad.
	SearchFailed struct {
		Nonce uint64
		Err   error
	}
	// Tick says that a time of [Searches.Next] has come.
	Tick struct{}
)

func (Find[W]) searchEvent()      {}
func (Stored) searchEvent()       {}
func (ListsEnded) searchEvent()   {}
func (SendEnded) searchEvent()    {}
func (SearchFailed) searchEvent() {}
func (Tick) searchEvent()         {}

// SearchEffect is what to do for searches. It is one of [AskLists], [SendDiscovery] and
// [Answer].
type SearchEffect interface{ searchEffect() }

type (
	// AskLists asks connected nodes for their peer lists; reply by [ListsEnded].
	AskLists struct{}
	// SendDiscovery broadcasts an encrypted Discovery; reply by [SendEnded].
	SendDiscovery struct {
		Nonce uint64
		Key   identity.PublicKey
	}
	// Answer ends the request of a waiter: the peer store has the peer, or Err says why not.
	Answer[W any] struct {
		Waiter W
		Key    identity.PublicKey
		Err    error
	}
)

func (AskLists) searchEffect()      {}
func (SendDiscovery) searchEffect() {}
func (Answer[W]) searchEffect()     {}

// NewSearches returns the searches of the node with the key self. A timeout of 0 is
// [SearchTimeout].
func NewSearches[W any](self identity.PublicKey, timeout time.Duration, random *rand.Rand) *Searches[W] {
	if timeout <= 0 {
		timeout = SearchTimeout
	}
	return &Searches[W]{self: self, timeout: timeout, random: random}
}

// Step applies an event and returns what to do about it, in order.
func (s *Searches[W]) Step(now time.Time, e SearchEvent) []SearchEffect {
	s.out = nil
	switch e := e.(type) {
	case Find[W]:
		s.find(now, e)
	case Stored:
		s.stored(e.Key)
	case ListsEnded:
		s.listsEnded(now)
	case SendEnded:
		if i := s.byNonce(e.Nonce); i >= 0 && e.Reached == 0 {
			s.stats.Nobody++
			s.end(i, ErrNobodyToAsk)
		}
	case SearchFailed:
		if i := s.byNonce(e.Nonce); i >= 0 {
			s.stats.Failed++
			s.end(i, e.Err)
		}
	case Tick:
	default:
		panic(fmt.Sprintf("discovery: unknown event %T", e))
	}
	s.late(now)
	return s.out
}

func (s *Searches[W]) find(now time.Time, e Find[W]) {
	i := slices.IndexFunc(s.running, func(r *search[W]) bool { return r.key == e.Key })
	switch {
	case e.Key == s.self:
		s.answer(e.Waiter, e.Key, dht.ErrSelf)
	case e.Peer == KnownBanned:
		s.answer(e.Waiter, e.Key, ErrBannedPeer)
	case e.Peer == Known:
		s.stats.Known++
		s.answer(e.Waiter, e.Key, nil)
	case i >= 0 && len(s.running[i].waiters) >= MaxWaiters:
		s.stats.Refused++
		s.answer(e.Waiter, e.Key, fmt.Errorf("%w: %d wait for this peer", ErrTooManySearches, MaxWaiters))
	case i >= 0:
		s.running[i].waiters = append(s.running[i].waiters, waiter[W]{e.Waiter, e.Until.Add(-answerAhead)})
	case len(s.running) >= MaxSearches:
		s.stats.Refused++
		s.answer(e.Waiter, e.Key, fmt.Errorf("%w: %d are running", ErrTooManySearches, MaxSearches))
	default:
		s.stats.Begun++
		s.running = append(s.running, &search[W]{
			key: e.Key, stage: StageLists, begin: now, limit: now.Add(ListsTimeout),
			waiters: []waiter[W]{{e.Waiter, e.Until.Add(-answerAhead)}},
		})
		if !s.asking {
			s.asking = true
			s.out = append(s.out, AskLists{})
		}
	}
}

func (s *Searches[W]) stored(key identity.PublicKey) {
	i := slices.IndexFunc(s.running, func(r *search[W]) bool { return r.key == key })
	if i < 0 {
		return
	}
	s.stats.Found[s.running[i].stage]++
	s.end(i, nil)
}

func (s *Searches[W]) listsEnded(now time.Time) {
	s.asking = false
	for _, r := range s.running {
		if r.stage == StageLists {
			s.broadcast(now, r)
		}
	}
}

func (s *Searches[W]) broadcast(now time.Time, r *search[W]) {
	for r.nonce == 0 || s.running[s.byNonce(r.nonce)] != r {
		r.nonce = s.random.Uint64()
	}
	r.stage, r.limit = StageBroadcast, now.Add(s.timeout)
	s.out = append(s.out, SendDiscovery{r.nonce, r.key})
}

// late ends what is over its time.
func (s *Searches[W]) late(now time.Time) {
	for i := 0; i < len(s.running); {
		r := s.running[i]
		kept := r.waiters[:0]
		for _, w := range r.waiters {
			if w.until.After(now) {
				kept = append(kept, w)
				continue
			}
			s.stats.GaveUp++
			s.answer(w.who, r.key, notFound(now.Sub(r.begin)))
		}
		clear(r.waiters[len(kept):])
		r.waiters = kept
		switch {
		case len(r.waiters) == 0:
			s.end(i, nil)
			continue
		case r.limit.After(now):
		case r.stage == StageLists: // whoever reads the lists is late, or has failed
			s.asking = false
			s.broadcast(now, r)
		default:
			s.stats.Silent++
			s.end(i, notFound(now.Sub(r.begin)))
			continue
		}
		i++
	}
}

func notFound(after time.Duration) error {
	return fmt.Errorf("%w after %s", ErrNotFound, after.Round(time.Second))
}

// end answers the waiters of a search and forgets it.
func (s *Searches[W]) end(i int, err error) {
	r := s.running[i]
	for _, w := range r.waiters {
		s.answer(w.who, r.key, err)
	}
	s.running = slices.Delete(s.running, i, i+1)
}

func (s *Searches[W]) answer(w W, key identity.PublicKey, err error) {
	s.out = append(s.out, Answer[W]{w, key, err})
}

// byNonce returns the place of the search that waits for the answer to its Discovery with
// the nonce, or -1.
func (s *Searches[W]) byNonce(nonce uint64) int {
	return slices.IndexFunc(s.running, func(r *search[W]) bool { return r.nonce == nonce && nonce != 0 })
}

// Searching reports whether a search for the holder of the key is running.
func (s *Searches[W]) Searching(key identity.PublicKey) bool {
	return slices.ContainsFunc(s.running, func(r *search[W]) bool { return r.key == key })
}

// Abandon ends all requests with err, for instance because their actor is restarted.
func (s *Searches[W]) Abandon(err error) []SearchEffect {
	s.out = nil
	for len(s.running) > 0 {
		s.end(0, err)
	}
	s.asking = false
	return s.out
}

// Asked returns the key that a Discovery of ours with the nonce searches for.
func (s *Searches[W]) Asked(nonce uint64) (key identity.PublicKey, ok bool) {
	if i := s.byNonce(nonce); i >= 0 {
		return s.running[i].key, true
	}
	return key, false
}

// Next returns when the next Tick is due; zero if none is.
func (s *Searches[W]) Next() (next time.Time) {
	for _, r := range s.running {
		next = deadline.Earlier(next, r.limit)
		for _, w := range r.waiters {
			next = deadline.Earlier(next, w.until)
		}
	}
	return next
}

// Running lists the searches, oldest first.
func (s *Searches[W]) Running() []SearchState {
	list := make([]SearchState, 0, len(s.running))
	for _, r := range s.running {
		list = append(list, SearchState{Key: r.key, Stage: r.stage, Since: r.begin, Waiters: len(r.waiters)})
	}
	return list
}

// Stats returns the counts of searches.
func (s *Searches[W]) Stats() SearchStats { return s.stats }
