package netsync

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Limits of the bootstrap.
//
// spec: versions 7, seed strap.
const (
	BootstrapLimit = 5 * time.Minute // of the whole bootstrap
	seedLimit      = time.Minute     // of one try of a seed
	seedsAtOnce    = 5
	seedTries      = 3
	seedAsk        = 250             // peers that a seed is asked for
	seedPause      = 5 * time.Second // after the first try of a seed, and twice that after the second
	Enough         = 50              // usable peers with which a node needs no bootstrap
	enoughSeeds    = 5               // the bootstrap ends after so many answers
	enoughPeers    = 15              // … with so many peers
	plenty         = 500             // or with so many peers from any number of seeds
)

// ErrNotAsked is the result of a seed that the bootstrap did not need, or for which no
// time was left.
var ErrNotAsked = errors.New("netsync: not asked")

// Phase is the progress of a [Bootstrap].
type Phase uint8

const (
	NotBegun Phase = iota
	NotNeeded
	NoSeeds
	Bootstrapping
	Ended
)

// Seed is the progress of a seed.
type Seed struct {
	Peer     identity.NodeID
	Asking   bool      // a try is under way
	Due      time.Time // of the next try; zero: none is planned
	Tries    int
	Answered bool
	Peers    int   // of its answer, or of what came of one
	New      int   // … that were unknown
	Err      error // of the last try
}

// Bootstrap asks the seeds of a node that has just started and knows too few peers. It is
// not safe for concurrent use.
type Bootstrap struct {
	phase Phase
	seeds []Seed
	until time.Time
	asked asked
	effects
}

// NewBootstrap returns a machine that waits for [Begin].
func NewBootstrap() *Bootstrap { return &Bootstrap{asked: make(asked)} }

// Phase returns the progress, and when the bootstrap ends at the latest.
func (b *Bootstrap) Phase() (Phase, time.Time) { return b.phase, b.until }

// Seeds returns the progress of each seed.
func (b *Bootstrap) Seeds() []Seed { return append([]Seed(nil), b.seeds...) }

// Answered returns how many seeds have answered.
func (b *Bootstrap) Answered() int {
	answered, _ := b.answers()
	return answered
}

// Asks reports whether a peer is being asked, or will be.
func (b *Bootstrap) Asks(peer identity.NodeID) bool {
	return slices.ContainsFunc(b.seeds, func(s Seed) bool { return s.Peer == peer && (s.Asking || !s.Due.IsZero()) })
}

// String returns the result in words.
func (b *Bootstrap) String() string {
	switch b.phase {
	case NotNeeded:
		return "enough peers are known"
	case NoSeeds:
		return "no seeds are configured"
	case Bootstrapping, Ended:
		return fmt.Sprintf("%d of %d seeds answered", b.Answered(), len(b.seeds))
	}
	return "not begun"
}

// Step applies one event and returns its effects, in order. The slice is valid until
// the next Step.
func (b *Bootstrap) Step(now time.Time, e Event) []Effect {
	b.begin(e)
	switch e := e.(type) {
	case Begin:
		b.start(now, e)
	case Synced:
		if e.For == ForSeed {
			b.synced(now, e)
		}
	case Starved:
		b.end(ErrAbandoned) // Recovery asks the seeds now
	case Restarted:
		b.wakes = nil
		for _, peer := range b.asked.all() {
			b.result(now, Synced{Peer: peer, Err: ErrAbandoned})
		}
	case Due:
		for _, peer := range b.asked.late(now) {
			b.do(Abandon{ForSeed, peer})
			b.result(now, Synced{Peer: peer, Err: ErrTimeLimit})
		}
		if b.phase == Bootstrapping && !b.until.After(now) {
			b.end(ErrTimeLimit)
		}
	}
	b.fill(now)
	b.askWake()
	return b.out
}

func (b *Bootstrap) start(now time.Time, e Begin) {
	switch {
	case b.phase != NotBegun:
		return
	case e.Usable >= Enough:
		b.phase = NotNeeded
	case len(e.Seeds) == 0:
		b.phase = NoSeeds
	default:
		b.phase, b.until = Bootstrapping, now.Add(BootstrapLimit)
		for _, peer := range e.Seeds {
			b.seeds = append(b.seeds, Seed{Peer: peer, Due: now})
		}
		return
	}
	b.do(Bootstrapped{})
}

// fill asks seeds while places are free, and ends the bootstrap when there is nobody left
// to ask, or enough has come.
func (b *Bootstrap) fill(now time.Time) {
	if b.phase != Bootstrapping {
		return
	}
	if answered, peers := b.answers(); answered >= enoughSeeds && peers >= enoughPeers || peers >= plenty {
		b.end(ErrNotAsked)
		return
	}
	for len(b.asked) < seedsAtOnce {
		s := b.next()
		if s == nil || s.Due.After(now) {
			break
		}
		until := deadline.Earlier(now.Add(seedLimit), b.until)
		s.Due, s.Tries = time.Time{}, s.Tries+1
		s.Asking = true
		b.asked[s.Peer] = until
		b.do(Sync{For: ForSeed, Peer: s.Peer, N: seedAsk, Until: until})
	}
	if len(b.asked) == 0 && b.next() == nil {
		b.end(nil)
	}
}

// next returns the seed to be tried next, or nil.
func (b *Bootstrap) next() (next *Seed) {
	for i := range b.seeds {
		if s := &b.seeds[i]; !s.Due.IsZero() && (next == nil || s.Due.Before(next.Due)) {
			next = s
		}
	}
	return next
}

func (b *Bootstrap) answers() (answered, peers int) {
	for _, s := range b.seeds {
		peers += s.Peers
		if s.Answered {
			answered++
		}
	}
	return answered, peers
}

func (b *Bootstrap) synced(now time.Time, e Synced) {
	if e.New > 0 {
		b.do(Learned{e.Peer, e.New})
	}
	if b.asked.took(e.Peer) {
		b.result(now, e)
	}
}

// result notes the end of a try. A seed that failed is tried again, unless it broke a rule.
func (b *Bootstrap) result(now time.Time, e Synced) {
	for i := range b.seeds {
		s := &b.seeds[i]
		if s.Peer != e.Peer {
			continue
		}
		s.Asking, s.Err, s.Answered = false, e.Err, e.Err == nil
		s.Peers += e.New + e.Known
		s.New += e.New
		if e.Err != nil && s.Tries < seedTries && !errors.Is(e.Err, protocol.ErrViolation) {
			s.Due = now.Add(seedPause << (s.Tries - 1))
		}
	}
}

// end ends the bootstrap. why is the error of the seeds that were not asked to the end.
func (b *Bootstrap) end(why error) {
	if b.phase != Bootstrapping {
		return
	}
	b.phase = Ended
	for i := range b.seeds {
		s := &b.seeds[i]
		if s.Asking {
			b.do(Abandon{ForSeed, s.Peer})
		}
		if s.Asking || !s.Due.IsZero() && s.Err == nil {
			s.Err = why
		}
		s.Asking, s.Due = false, time.Time{}
	}
	clear(b.asked)
	b.do(Bootstrapped{})
}

func (b *Bootstrap) askWake() {
	if b.phase != Bootstrapping {
		return
	}
	at := deadline.Earlier(b.until, b.asked.first())
	if s := b.next(); s != nil && len(b.asked) < seedsAtOnce {
		at = deadline.Earlier(at, s.Due)
	}
	b.wake(at)
}
