package saf

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Times and limits of requests.
const (
	// RequestAge is how long after the last request to a server its response is taken
	// (spec: dht 8.5/1).
	RequestAge = 2 * time.Minute
	// RequestMemory is how long unanswered requests are remembered (spec: dht 8.6).
	RequestMemory = 4 * time.Minute
	// RequestBurst is how many requests go to one server at once, and RequestPause the
	// time after which one more does. Servers serve a little more.
	RequestBurst = 8
	RequestPause = 7 * time.Second
	// SilentAfter is how many requests in succession a server leaves unanswered before it is
	// not asked for SilentFor, except by a [Fetch] that names it or finds no other: its
	// release has no store and forward (spec: V21). A server that has answered within
	// SilentFor is busy instead. It is asked less and less often, at most AgainMost apart.
	SilentAfter = 3
	SilentFor   = 24 * time.Hour
	// AutoSpread is the time in which the request to a new connection begins.
	AutoSpread = 2 * time.Second
	// AutoAgain is how long after a complete run the next one begins at the earliest, if the
	// server connects anew. It is the least time between other runs that begin again, too:
	// see [AgainMost].
	AutoAgain = time.Minute
	// AgainMost is the greatest time after which a run that nobody waits for begins again,
	// because it ended with an error and the server is still connected. The first time it is
	// AutoAgain, and it doubles until an answer without fault comes. It stays AutoAgain after
	// [ErrRunLimit]. After a violation, and with a server that is not asked because of
	// SilentAfter, no run begins again.
	AgainMost = time.Hour
	// CheckAfter is how long a server may hold back what it has just given to us. A server of
	// ours does so for [RepeatAfter]; the rest is for its clock and ours. A run that begins
	// later sees all that the server has for us, also what no handler has finished, or what
	// this node had in hand when it crashed. After a complete run that began earlier, and after
	// a [Missed], one more begins by itself, and again after twice that time and so on, as long
	// as messages come that no handler finishes. A server deletes after [LeastGrace] what it has
	// given to us. So the time does not grow that long after a Missed, and it begins anew with a
	// connection, and with a message that the run before did not bring.
	CheckAfter = RepeatAfter + 15*time.Second
	// MaxKnown is how many servers without connection are remembered, with what they left
	// unanswered.
	MaxKnown = 4096
)

// server is what is known of a peer.
type server struct {
	peer      identity.NodeID
	connected bool
	conn      uint64 // the last connection
	serves    bool
	flight    []uint32        // numbers of the requests without response, the oldest first
	asked     time.Time       // when the last of them was sent
	silence   int             // requests in succession that were not answered in time
	silent    time.Time       // when the last of them ended
	heard     time.Time       // when it answered last; zero for never
	paced     time.Time       // when all its requests are forgotten
	complete  time.Time       // when the last complete run ended
	failed    int             // automatic runs that failed since the last answer without fault
	reading   int             // answers whose letters have not ended
	doubt     time.Time       // when it last gave us something that we may not have handled
	checks    int             // runs in succession that began because of doubt
	open      openDigest      // of the last complete run that brought letters which no handler finished
	run       *run            // nil for none
	ended     time.Time       // when the last run ended
	result    dht.FetchResult // of that
}

// server returns what is known of a peer, perhaps nothing yet.
func (c *Client[W]) server(peer identity.NodeID) *server {
	s, ok := c.servers[peer]
	if !ok {
		c.forget()
		s = &server{peer: peer}
		if c.o.Watermarks.index(peer) >= 0 { // it has answered before the start
			s.heard = c.born
		}
		c.servers[peer] = s
	}
	return s
}

// forget makes room for another server when there are many without connection.
func (c *Client[W]) forget() {
	if len(c.servers) < MaxKnown {
		return
	}
	var oldest *server
	for id, s := range c.servers {
		switch {
		case s.connected || s.run != nil || s.reading > 0:
		case s.idle(c.now):
			delete(c.servers, id)
		case oldest == nil || s.last().Before(oldest.last()) || s.last().Equal(oldest.last()) && bytes.Compare(s.peer[:], oldest.peer[:]) < 0:
			oldest = s
		}
	}
	if len(c.servers) >= MaxKnown && oldest != nil {
		delete(c.servers, oldest.peer)
	}
}

// last returns when something happened to the server.
func (s *server) last() time.Time {
	if s.silent.After(s.asked) {
		return s.silent
	}
	return s.asked
}

// idle reports whether there is nothing to remember about a server without connection.
func (s *server) idle(now time.Time) bool {
	return s.reading == 0 && !s.isSilent(now) && s.silence == 0 && !s.answers(now) && now.Sub(s.asked) > RequestMemory && !s.paced.After(now)
}

// answers reports whether the server has answered within [SilentFor]: it has store and forward.
func (s *server) answers(now time.Time) bool {
	return !s.heard.IsZero() && now.Sub(s.heard) < SilentFor
}

// isSilent reports whether the server is not asked because it does not answer.
func (s *server) isSilent(now time.Time) bool {
	if s.silence > 0 && now.Sub(s.silent) >= SilentFor {
		s.silence = 0
	}
	return s.silence >= SilentAfter && !s.answers(now)
}

// silentTill returns until when a silent server is not asked.
func (s *server) silentTill() time.Time { return s.silent.Add(SilentFor) }

// mostFlight bounds the requests without response that are remembered. The pace allows fewer
// within [RequestAge].
const mostFlight = 32

// take counts a request.
func (s *server) take(now time.Time, id uint32) {
	if now.Sub(s.asked) > RequestMemory {
		s.flight = nil
	}
	if len(s.flight) == mostFlight {
		s.flight = slices.Delete(s.flight, 0, 1)
	}
	s.flight = append(s.flight, id)
	s.asked = now
	if s.paced.Before(now) {
		s.paced = now
	}
	s.paced = s.paced.Add(RequestPause)
}

// answered removes the request of this number, or with 0 the oldest one, and reports whether
// there was one.
func (s *server) answered(id uint32) bool {
	at := slices.IndexFunc(s.flight, func(asked uint32) bool { return id == 0 || asked == id })
	if at < 0 {
		return false
	}
	s.flight = slices.Delete(s.flight, at, at+1)
	return true
}

// room returns when the next request may be sent.
func (s *server) room(now time.Time) time.Time {
	at := s.paced.Add(-(RequestBurst - 1) * RequestPause)
	if at.Before(now) {
		return now
	}
	return at
}

// Open reports whether a response of the peer, to the request of this number, is one that
// this node waits for, and counts it; 0: the response has no number, and counts for the oldest
// request. Any other is dropped without an offence, because it may be late (spec: dht 8.5/1,
// 101, 102). It may also be for an earlier life of this node: a server that does not know
// whether that has read the response sends it again. Open may change what [Client.Next] returns.
// After true, judge the response, and report its end by [Answered].
func (c *Client[W]) Open(now time.Time, peer identity.NodeID, id uint32) bool {
	s := c.servers[peer]
	if s == nil || now.Sub(s.asked) > RequestAge || !s.answered(id) {
		c.stats.Unrequested++
		if s != nil {
			c.now, s.doubt, s.checks = now, now, 0
			c.lookAgain(s)
		}
		return false
	}
	s.reading++
	s.silence, s.heard = 0, now
	if r := s.run; r != nil && r.stage == StageWaiting {
		r.stage, r.at = StageReading, time.Time{}
	}
	return true
}

func (c *Client[W]) connected(e Connected) {
	s := c.server(e.Peer)
	s.connected, s.conn, s.serves, s.checks = true, e.Conn, e.Serves, 0
	if s.run != nil && !e.Serves && s.run.stage != StageReading {
		c.end(s.run, ErrNoServer)
	}
	switch {
	case s.run != nil && s.run.stage == StageQueued:
		s.run.at = deadline.Earlier(s.run.at, c.first(s))
	case s.run == nil && c.mayAsk(s):
		c.begin(s, true, c.first(s))
	}
}

// first returns when the automatic run of a new connection begins.
func (c *Client[W]) first(s *server) time.Time {
	at := c.spread(c.now)
	if again := s.complete.Add(AutoAgain); !s.complete.IsZero() && again.After(at) {
		at = again
	}
	if s.silence >= SilentAfter { // it is busy
		if again := s.silent.Add(pauseAfter(s.silence - 1)); again.After(at) {
			at = again
		}
	}
	return at
}

// pauseAfter returns how long after so many failures in succession a server is asked again.
func pauseAfter(failures int) time.Duration { return backoff.Doubled(failures+1, AutoAgain, AgainMost) }

// spread returns a time within [AutoSpread] from at.
func (c *Client[W]) spread(at time.Time) time.Time {
	return at.Add(time.Duration(c.o.Random.Int64N(int64(AutoSpread))))
}

// again begins an automatic run again, after a while, if the server may still be asked: one
// that ended with an error, or that was not sure to see all messages.
func (c *Client[W]) again(r *run, err error, sure bool) {
	s, open := r.server, openDigest{}
	if err == nil || err == ErrRepeats {
		open = r.open()
	}
	if sure || open != (openDigest{}) && open != s.open {
		s.checks, s.open = 0, open
	}
	var v *protocol.Violation
	switch {
	case sure || err == ErrRepeats && open == (openDigest{}) || errors.As(err, &v) || s.run != nil || !c.mayAsk(s):
	case err == nil || err == ErrRepeats:
		at := c.check(s)
		if r.due.After(c.now) && r.due.Before(at) { // a Fetch does not put it off
			at = r.due
		} else {
			s.checks++
		}
		c.begin(s, true, at)
	case err == ErrRunLimit || err == ErrUnhandled:
		c.begin(s, true, c.spread(c.now.Add(AutoAgain)))
	default:
		c.begin(s, true, c.spread(c.now.Add(pauseAfter(s.failed))))
		s.failed++
	}
}

// mayAsk reports whether a run that nobody waits for may begin.
func (c *Client[W]) mayAsk(s *server) bool {
	return !c.o.NoRequests && s.connected && s.serves && !s.isSilent(c.now) && c.near(s.peer)
}

// recovered has a server asked soon whose automatic runs have failed, because it has answered,
// perhaps too late for the run.
func (c *Client[W]) recovered(s *server) {
	soon := func() time.Time { return c.spread(c.now.Add(AutoAgain)) }
	switch {
	case s.run == nil && c.mayAsk(s):
		c.begin(s, true, soon())
	case s.run != nil && s.run.later(c.now):
		s.run.at = deadline.Earlier(s.run.at, soon())
	}
}

// missedOne has all servers asked again that may have what was not handled here. A server of
// ours holds it back for a while, because it was just relayed to this node.
func (c *Client[W]) missedOne() {
	c.missed = c.now
	for _, s := range c.closest(false) {
		c.lookAgain(s)
	}
}

// lookAgain has a server asked again that may have what was not handled here.
func (c *Client[W]) lookAgain(s *server) {
	switch {
	case s.run == nil && c.mayAsk(s):
		c.begin(s, true, c.check(s))
		s.checks++
	case s.run == nil:
	case !s.run.later(c.now):
		s.run.own = true // another run follows, because this one is not sure to see it
	default:
		if at := c.check(s); at.Before(s.run.at) {
			s.run.at = at
			s.checks++
		}
	}
}

// check returns when a run begins because of doubt.
func (c *Client[W]) check(s *server) time.Time {
	pause := backoff.Doubled(s.checks+1, CheckAfter, AgainMost)
	if !c.missed.IsZero() && c.now.Sub(c.missed) < LeastGrace { // the server deletes it soon
		pause = CheckAfter
	}
	return c.spread(c.now.Add(pause))
}

// near reports whether a connected peer is among the nearest that are asked (spec: dht
// 8.4a).
func (c *Client[W]) near(peer identity.NodeID) bool {
	if c.o.Minimise <= 0 {
		return true
	}
	own, nearer := c.o.Self.Distance(peer), 0
	for id, s := range c.servers {
		if s.connected && c.o.Self.Distance(id).Cmp(own) < 0 {
			nearer++
		}
	}
	return nearer < c.o.Minimise
}

func (c *Client[W]) disconnected(e Disconnected) {
	s := c.servers[e.Peer]
	if s == nil {
		return
	}
	if s.connected && s.conn != e.Conn { // it has a successor
		if r := s.run; r != nil && r.stage == StageWaiting && r.conn == e.Conn {
			r.wait(c.now) // the answer is lost
		}
		return
	}
	s.connected = false
	if s.run != nil && s.run.stage != StageReading {
		c.end(s.run, ErrDisconnected)
	}
	if s.run == nil && s.idle(c.now) {
		delete(c.servers, e.Peer)
	}
}

// closest returns the connected servers, nearest first, that keep silent or do not.
func (c *Client[W]) closest(silent bool) (list []*server) {
	for _, s := range c.servers {
		if s.connected && s.serves && s.isSilent(c.now) == silent {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *server) int {
		return cmp.Or(c.o.Self.Distance(a.peer).Cmp(c.o.Self.Distance(b.peer)), bytes.Compare(a.peer[:], b.peer[:]))
	})
	return list
}

// ServerState describes a server.
type ServerState struct {
	Peer       identity.NodeID
	Connected  bool
	Conn       uint64          // the last connection
	Serves     bool            // stores messages for others, by its features
	InFlight   int             // requests without response
	Unanswered int             // requests in succession that were not answered in time
	SilentTill time.Time       // not asked until then; zero if it is asked
	Running    *RunState       // nil for none, and for one that begins later
	NextAt     time.Time       // when one begins that nobody waits for; zero for none
	LastAt     time.Time       // when the last run ended; zero if there was none
	Last       dht.FetchResult // of that
}

// Asked returns the connected servers with which a run is under way, in the order in which
// the runs began.
func (c *Client[W]) Asked() (list []identity.NodeID) {
	for _, r := range c.runs {
		if r.server.connected && !r.later(c.now) {
			list = append(list, r.server.peer)
		}
	}
	return list
}

// Servers lists the connected servers and those that left requests unanswered, nearest
// first.
func (c *Client[W]) Servers(now time.Time) (list []ServerState) {
	for _, s := range c.servers {
		if (!s.connected || !s.serves) && s.silence == 0 && s.run == nil {
			continue
		}
		state := ServerState{Peer: s.peer, Connected: s.connected, Conn: s.conn, Serves: s.serves, InFlight: len(s.flight), LastAt: s.ended, Last: s.result}
		if s.isSilent(now) {
			state.SilentTill = s.silentTill()
		}
		state.Unanswered = s.silence
		if now.Sub(s.asked) > RequestMemory {
			state.InFlight = 0
		}
		switch {
		case s.run == nil:
		case s.run.later(now):
			state.NextAt = s.run.at
		default:
			run := s.run.state()
			state.Running = &run
		}
		list = append(list, state)
	}
	slices.SortFunc(list, func(a, b ServerState) int {
		return cmp.Or(c.o.Self.Distance(a.Peer).Cmp(c.o.Self.Distance(b.Peer)), bytes.Compare(a.Peer[:], b.Peer[:]))
	})
	return list
}
