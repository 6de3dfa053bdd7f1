// Package story decides which events of a node's network are told in its log, so that a month of it
// says when the node was cut off, and strangers cannot fill it.
package story

import (
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Each source may cause sourceLines lines at once, and then one in sourceEach; all that strangers
// cause share strangerLines and strangerEach. So do all exempt sources, such as Tor's circuits and networks of the
// user, apart from the others. A peer that the user has named has lines of its own, as a source has, and all of these
// share namedLines and namedEach. The connections that this node makes share ownLines and ownEach, its dials that fail dialLines and dialEach, actors that fail failLines and failEach, and changes of its state stateLines and stateEach. A connection whose beginning is
// told has its end told, too. Of a peer one failed dial is told, and one in failedEach after it,
// and of an action of an operator that repeats itself one in actEach. Other actions share actLines and actLineEach.
const (
	sourceLines   = 8
	sourceEach    = 10 * time.Minute
	strangerLines = 60
	strangerEach  = time.Minute
	namedLines    = 60
	namedEach     = time.Minute
	ownLines      = 60
	ownEach       = 30 * time.Second
	dialLines     = 30
	dialEach      = time.Minute
	failLines     = 30
	failEach      = time.Minute
	stateLines    = 20
	stateEach     = 2 * time.Minute
	maxSources    = 1024 // that are told apart, and so many named peers
	failedEach    = 10 * time.Minute
	maxFailing    = 1024 // peers whose failed dials are told apart
	actEach       = 10 * time.Minute
	actLines      = 60
	actLineEach   = time.Minute
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
	Acts        uint64 // of an operator, beside those that repeat themselves
}

// failing is a peer whose dials fail, or an action that is done again and again.
type failing struct {
	last string    // action that was told last, with its parameters
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
	named                   *lru.Map[identity.NodeID, bucket]
	strangers, own, bans    bucket
	exempt, names           bucket
	state, addresses, dials bucket
	troubles, fails, acted  bucket
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
	slept time.Duration // of the machine, when it began
	told  bool
}

// New returns a Story without events.
func New() *Story {
	return &Story{
		sources: lru.New[share.Source, bucket](maxSources), named: lru.New[identity.NodeID, bucket](maxSources), from: lru.New[share.Source, struct{}](maxSources),
		peers: make(map[identity.NodeID]*talk), failing: lru.New[identity.NodeID, failing](maxFailing),
		acts: lru.New[string, failing](maxActs),
	}
}

// Connection is a connection that is used from now on.
type Connection struct {
	Peer  identity.NodeID
	Conn  uint64
	Since time.Time
	Slept time.Duration // how long the machine has slept until then, since some moment
	From  share.Source  // where it comes from, [share.None] of one that this node has made
	Named bool          // the user has named or protected the peer
}

// Connected notes a connection, and reports whether to tell it. When it takes the place of another one of the peer, it
// goes on with that one's story.
func (s *Story) Connected(now time.Time, c Connection) (tell bool) {
	if t := s.peers[c.Peer]; t != nil {
		t.conn = c.Conn
		return false
	}
	s.failing.Delete(c.Peer)
	t := &talk{conn: c.Conn, since: c.Since, slept: c.Slept}
	s.peers[c.Peer] = t
	s.Made++
	if t.told = s.permits(now, &c); !t.told {
		s.untold.Connections++
		s.from.Use(c.From)
		s.untold.Sources = s.from.Len()
	}
	return t.told
}

func (s *Story) permits(now time.Time, c *Connection) bool {
	switch {
	case c.Named:
		return both(now, s.named.Use(c.Peer), &s.names, namedLines, namedEach)
	case c.From == share.None:
		return s.own.take(now, ownLines, ownEach)
	case c.From == share.Exempt:
		return s.exempt.take(now, strangerLines, strangerEach)
	}
	return both(now, s.sources.Use(c.From), &s.strangers, strangerLines, strangerEach)
}

// both takes a line of a source and of what it shares with others, if both have one.
func both(now time.Time, of, all *bucket, most int, each time.Duration) bool {
	of.fill(now, sourceLines, sourceEach)
	if of.left < 1 || !all.take(now, most, each) {
		return false
	}
	of.left--
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
// last time that was told. what is the name of the action, and its parameters behind a space. An action is told unless it was the last
// of its name not long ago, so that the last one that is told tells what holds now.
func (s *Story) Acted(now time.Time, what string) (n int, tell bool) {
	name, _, _ := strings.Cut(what, " ")
	f := s.acts.Use(name)
	rests, other := f.rests(now, actEach), f.last != what
	switch {
	case rests && other && !s.acted.take(now, actLines, actLineEach):
		s.untold.Acts++
		f.last = "" // what holds now was not told
		return 0, false
	case other:
		f.more = 1
	default:
		f.more++
	}
	if rests && !other {
		return 0, false
	}
	f.last = what
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

// Disconnected notes that a peer has no connection any more. slept is how long the machine has slept until now, since the
// moment of [Connection]. It returns how long the peer had one, sleep included, and whether to tell it.
func (s *Story) Disconnected(now time.Time, peer identity.NodeID, slept time.Duration) (lasted time.Duration, tell bool) {
	t := s.peers[peer]
	if t == nil {
		return 0, false
	}
	delete(s.peers, peer)
	s.Lost++
	if !t.told {
		s.untold.Ended++
	}
	return now.Sub(t.since) + max(0, slept-t.slept), t.told
}

// Gone returns the peers of which the last word is a connection, and which have none, in their order.
func (s *Story) Gone(has func(identity.NodeID) bool) (list []identity.NodeID) {
	for peer := range s.peers {
		if !has(peer) {
			list = append(list, peer)
		}
	}
	slices.SortFunc(list, identity.NodeID.Compare)
	return list
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
