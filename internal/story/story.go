// Package story decides which events of a node's network are told in its log, so that a month of it
// says when the node was cut off, and strangers cannot fill it.
package story

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Each source may cause sourceLines lines at once, and then one in sourceEach; all that strangers
// cause share strangerLines and strangerEach. The connections that this node makes share ownLines
// and ownEach, its dials that fail dialLines and dialEach, actors that fail failLines and failEach, and changes of its state stateLines and stateEach. A connection whose beginning is
// told has its end told, too. Of a peer one failed dial is told, and one in failedEach after it,
// and of an action of an operator one in actEach.
const (
	sourceLines   = 8
	sourceEach    = 10 * time.Minute
	strangerLines = 60
	strangerEach  = time.Minute
	ownLines      = 60
	ownEach       = 30 * time.Second
	dialLines     = 30
	dialEach      = time.Minute
	failLines     = 30
	failEach      = time.Minute
	stateLines    = 20
	stateEach     = 2 * time.Minute
	maxSources    = 1024 // that are told apart
	failedEach    = 10 * time.Minute
	maxFailing    = 1024 // peers whose failed dials are told apart
	actEach       = 10 * time.Minute
	maxActs       = 128 // actions that are told apart
)

// bucket permits lines.
type bucket struct {
	begun bool
	at    time.Time // of left
	left  float64
}

func (b *bucket) fill(now time.Time, most int, each time.Duration) {
	if !b.begun {
		b.begun, b.left = true, float64(most)
	} else if passed := now.Sub(b.at); passed > 0 {
		b.left = min(float64(most), b.left+float64(passed)/float64(each))
	}
	b.at = now
}

func (b *bucket) take(now time.Time, most int, each time.Duration) bool {
	b.fill(now, most, each)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// Untold counts what was left out of the log.
type Untold struct {
	Connections uint64 // that have begun
	Ended       uint64 // of those whose beginning was left out
	Sources     int    // of these, at most maxSources
	Bans        uint64
	States      uint64 // changes of the state
	Dials       uint64 // that have failed
	Failures    uint64 // of actors
}

// failing is a peer whose dials fail, or an action that is done again and again.
type failing struct {
	at   time.Time // when it was told
	more int       // that were not told since
}

// rests reports whether the last one that was told is less than a time ago.
func (f *failing) rests(now time.Time, each time.Duration) bool {
	return !f.at.IsZero() && now.Sub(f.at) < each
}

// told notes that one is told, and returns how many there were since the last one that was.
func (f *failing) told(now time.Time) (n int) {
	n, f.at, f.more = f.more, now, 0
	return n
}

// Story decides. It is not safe for concurrent use.
type Story struct {
	sources                 *lru.Map[share.Source, bucket]
	strangers, own, bans    bucket
	state, addresses, dials bucket
	troubles, fails         bucket
	peers                   map[identity.NodeID]*talk
	failing                 *lru.Map[identity.NodeID, failing]
	acts                    *lru.Map[string, failing]
	untold                  Untold
	from                    *lru.Map[share.Source, struct{}] // sources of Untold

	Made, Lost uint64 // connections since the start: begun, and ended
}

// talk is a connection with a peer.
type talk struct {
	conn  uint64
	since time.Time
	told  bool
}

// New returns a Story without events.
func New() *Story {
	return &Story{
		sources: lru.New[share.Source, bucket](maxSources), from: lru.New[share.Source, struct{}](maxSources),
		peers: make(map[identity.NodeID]*talk), failing: lru.New[identity.NodeID, failing](maxFailing),
		acts: lru.New[string, failing](maxActs),
	}
}

// Connected notes a connection that is used from now on, and reports whether to tell it. from is where
// it comes from, [share.None] of one that this node has made. When it takes the place of another one
// of the peer, it goes on with that one's story.
func (s *Story) Connected(now time.Time, peer identity.NodeID, conn uint64, since time.Time, from share.Source) (tell bool) {
	if t := s.peers[peer]; t != nil {
		t.conn = conn
		return false
	}
	s.failing.Delete(peer)
	t := &talk{conn: conn, since: since}
	s.peers[peer] = t
	s.Made++
	if t.told = s.permits(now, from); !t.told {
		s.untold.Connections++
		s.from.Use(from)
		s.untold.Sources = s.from.Len()
	}
	return t.told
}

func (s *Story) permits(now time.Time, from share.Source) bool {
	if from == share.None {
		return s.own.take(now, ownLines, ownEach)
	}
	b := s.sources.Use(from)
	b.fill(now, sourceLines, sourceEach)
	if b.left < 1 || !s.strangers.take(now, strangerLines, strangerEach) {
		return false
	}
	b.left--
	return true
}

// Addresses reports whether to tell a change of the node's own addresses, or of who reaches them.
func (s *Story) Addresses(now time.Time) bool { return s.changed(now, &s.addresses) }

// Trouble reports whether to tell that something has become wrong.
func (s *Story) Trouble(now time.Time) bool { return s.changed(now, &s.troubles) }

func (s *Story) changed(now time.Time, b *bucket) bool {
	if b.take(now, stateLines, stateEach) {
		return true
	}
	s.untold.States++
	return false
}

// ActorFailed reports whether to tell that an actor has failed.
func (s *Story) ActorFailed(now time.Time) bool {
	if s.fails.take(now, failLines, failEach) {
		return true
	}
	s.untold.Failures++
	return false
}

// Acted reports whether to tell that somebody has made the node do something, and how often since the
// last time that was told.
func (s *Story) Acted(now time.Time, what string) (n int, tell bool) {
	f := s.acts.Use(what)
	if f.more++; f.rests(now, actEach) {
		return 0, false
	}
	return f.told(now), true
}

// DialFailed reports whether to tell that a dial of a peer has failed, and how many since the last
// one that was told.
func (s *Story) DialFailed(now time.Time, peer identity.NodeID) (n int, tell bool) {
	f := s.failing.Use(peer)
	if f.more++; f.rests(now, failedEach) || !s.dials.take(now, dialLines, dialEach) {
		s.untold.Dials++
		return 0, false
	}
	return f.told(now), true
}

// Disconnected notes that a peer has no connection any more. It returns since when it had one, and
// whether to tell it.
func (s *Story) Disconnected(peer identity.NodeID) (since time.Time, tell bool) {
	t := s.peers[peer]
	if t == nil {
		return since, false
	}
	delete(s.peers, peer)
	s.Lost++
	if !t.told {
		s.untold.Ended++
	}
	return t.since, t.told
}

// Banned reports whether to tell a ban.
func (s *Story) Banned(now time.Time) bool {
	if s.bans.take(now, strangerLines, strangerEach) {
		return true
	}
	s.untold.Bans++
	return false
}

// State reports whether to tell a change of the state.
func (s *Story) State(now time.Time) bool { return s.changed(now, &s.state) }

// Open returns how many connections there are.
func (s *Story) Open() int { return len(s.peers) }

// Untold returns what was left out since the last call; ok is false if that is nothing.
func (s *Story) Untold() (u Untold, ok bool) {
	u, s.untold = s.untold, Untold{}
	s.from = lru.New[share.Source, struct{}](maxSources)
	return u, u.Connections+u.Ended+u.Bans+u.States+u.Dials+u.Failures > 0
}
