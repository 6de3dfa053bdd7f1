package rpcpart

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Key names one service of one peer.
type Key struct {
	Peer     identity.NodeID
	Protocol protocol.ID
}

// AcquireSession asks rpc-client for a session when [Calls.IdleSession] has none.
// Reply: SessionGiven, as soon as there is a free session, or an error that prevents one.
// Gone reports whether the asker no longer waits; it may be called from any goroutine.
type AcquireSession struct {
	Key  Key
	Gone func() bool
}

// CallerGone reports that the Gone of an asker now returns true. A dial that no other
// asker needs is cancelled. No reply.
type CallerGone struct{ Key Key }

// SessionGiven replies to AcquireSession. The session belongs to the receiver, which must
// call one of its methods exactly once.
type SessionGiven struct {
	Session *Session
	Err     error
}

// Discard releases the session, because its asker has gone.
func (m SessionGiven) Discard() {
	if m.Session != nil {
		m.Session.release()
	}
}

// sessionGone is the last message of a session's actor to its parent, which stops it.
type sessionGone struct{ who *actor.PID }

// client opens and ends our sessions with services of peers, and gives them to callers
// that find no idle session. The machine onecall.Pool decides when to open another one.
//
// In: AcquireSession, CallerGone, sessionReady, sessionFree, SubstreamOpened,
// SubstreamFailed, PeerDialed, sessionGone, event PeerDisconnected. Out: SessionGiven,
// DialPeer, CancelDial, OpenSubstream. A restart loses the sessions; waiting callers get
// an error.
type client struct {
	calls       *Calls
	pools       map[Key]*sessionPool
	opening     map[uint64]*openingSession // by token
	sessions    map[string]*Session        // by path
	byConn      map[uint64]map[string]*Session
	pending     map[identity.NodeID]int      // openings under way by peer
	established map[identity.NodeID]int      // sessions by peer
	queued      map[identity.NodeID][]uint64 // tokens of openings that wait for others to end
	credits     map[identity.NodeID]*peerSessions
	ways        map[identity.NodeID]way // by peer; meanwhile no other opening begins with it
	serial      uint64
	ticking     bool
}

// sessionPool has the sessions with one service of one peer. The callers' goroutines use
// the two counts as well.
type sessionPool struct {
	key      Key
	machine  *onecall.Pool
	waiters  []waiter
	sessions []*Session
	opening  map[uint64]struct{} // tokens
	rests    int                 // value of resting that the machine was told
	wake     *supervisor.Timer
	ways     int // sessions that ended for it in vain: see wayFor

	waiting atomic.Int32
	resting atomic.Int32
}

// peerSessions is the number of our sessions with one peer, and their shared credit.
type peerSessions struct {
	credit   *inboundCredit
	sessions int
}

// way is an idle session that ends so that another one finds a place.
type way struct {
	path  string // "": it has ended
	token uint64 // of the refused opening that is tried again then; 0: those that wait with the peer begin
}

type waiter struct {
	to   *actor.PID
	gone func() bool
}

// openingSession is a session that is being opened.
type openingSession struct {
	pool  *sessionPool
	conn  *actors.ConnRef
	tries int
	limit *supervisor.Timer // of the dial or the substream under way; nil: none runs
	pid   *actor.PID        // of the session's actor, once there is one
}

type (
	sessionFree  struct{ key Key }
	sessionReady struct {
		token   uint64
		session *Session
		err     error
	}
	poolDue    struct{ key Key }
	clientTick struct{}
	openLate   struct {
		token uint64
		try   int
	}
	openAgain struct{ token uint64 }
)

const (
	clientTickEvery = time.Second
	clientIdle      = 5 * time.Minute       // our idle sessions end after this, before the server ends them
	openTries       = 8                     // tries of one opening; each connection ended before there was a session
	openPause       = 20 * time.Millisecond // pause before the third try, doubling
	maxOpening      = 3                     // sessions being opened with one peer (V 18)
	mostOfPeer      = 16                    // sessions with one peer, for all its services together (V 37)
	// wayRest is the idle time after which a session ends for one that its peer has refused for want of places. It is shorter than the pauses of
	// onecall.Pool before its third try: what is idle from the first refusal on makes way at the third at the latest.
	wayRest = 250 * time.Millisecond
	// mostWays is how many sessions end for one service in vain: others may take the places.
	mostWays = 2
)

func newClient(calls *Calls) actor.Actor {
	return &client{
		calls: calls, pools: make(map[Key]*sessionPool),
		opening: make(map[uint64]*openingSession), sessions: make(map[string]*Session),
		byConn:  make(map[uint64]map[string]*Session),
		pending: make(map[identity.NodeID]int), established: make(map[identity.NodeID]int), queued: make(map[identity.NodeID][]uint64),
		credits: make(map[identity.NodeID]*peerSessions), ways: make(map[identity.NodeID]way),
	}
}

func (a *client) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.calls.sessions.Clear()
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.OwnFunc(c, a.abandon)
	case AcquireSession:
		a.acquire(c, m)
	case CallerGone:
		if p := a.pools[m.Key]; p != nil {
			a.callersGone(c, p)
		}
	case sessionFree:
		if p := a.pools[m.key]; p != nil {
			a.dismiss(c, p) // for those that wait for it
			a.serve(c, p)
			a.rests(p) // fewer sessions are about to become idle
			a.do(c, p, p.machine.Due(supervisor.Now(c)))
		}
	case dialling.PeerDialed:
		a.dialed(c, m)
	case actors.SubstreamOpened:
		a.opened(c, m)
	case connections.SubstreamFailed:
		a.substreamFailed(c, m)
	case openLate:
		if o := a.opening[m.token]; o != nil && o.pid == nil && o.tries == m.try {
			a.takeBack(c, m.token)
			a.failed(c, m.token, actors.ErrNoAnswer)
		}
	case openAgain:
		if a.opening[m.token] != nil {
			a.open(c, m.token)
		}
	case sessionReady:
		a.ready(c, m)
	case sessionGone:
		c.Stop(m.who)
	case *actor.Terminated:
		a.gone(c, m.Who)
	case actors.PeerDisconnected:
		a.disconnected(c, m.Conn)
	case poolDue:
		if p := a.pools[m.key]; p != nil {
			p.wake = nil
			a.do(c, p, p.machine.Due(supervisor.Now(c)))
			a.forget(p)
		}
	case clientTick:
		a.tick(c)
	default:
		supervisor.Unhandled(c)
	}
}

// acquire gives an idle session to a caller, or puts the caller in the queue.
func (a *client) acquire(c actor.Context, m AcquireSession) {
	p := a.pools[m.Key]
	if p == nil {
		if err := a.calls.trunk.Unreachable(m.Key.Peer); err != nil { // no pool is made for such a peer
			supervisor.Reply(c, SessionGiven{Err: err})
			return
		}
		p = &sessionPool{key: m.Key, opening: make(map[uint64]struct{}), machine: onecall.NewPool(onecall.PoolOptions{Max: 1})} // see opened
		a.pools[m.Key] = p
	}
	if len(p.waiters) == 0 {
		for _, s := range p.sessions {
			if s.acquire() {
				supervisor.Reply(c, SessionGiven{Session: s})
				return
			}
		}
	}
	a.dismiss(c, p)
	if len(p.waiters) == 0 {
		p.ways = 0
	}
	p.waiters = append(p.waiters, waiter{c.Sender(), m.Gone})
	p.waiting.Add(1) // from here on release sends sessionFree
	a.rests(p)
	f := p.machine.Wanted(supervisor.Now(c))
	a.serve(c, p) // a session may have been released just before
	a.do(c, p, f)
}

// callersGone removes the callers that have gone, and cancels the dials that no caller needs
// any more, the latest first. It does not stop the opening of a substream: that costs
// little, and the next caller will use the session.
func (a *client) callersGone(c actor.Context, p *sessionPool) {
	p.waiters = slices.DeleteFunc(p.waiters, func(w waiter) bool {
		if !w.gone() {
			return false
		}
		p.waiting.Add(-1)
		p.machine.Served()
		return true
	})
	var dialing []uint64
	for token := range p.opening {
		if a.opening[token].conn == nil {
			dialing = append(dialing, token)
		}
	}
	slices.Sort(dialing)
	for _, token := range slices.Backward(dialing) {
		if p.machine.Surplus() == 0 {
			break
		}
		a.takeBack(c, token)
		a.openingEnded(c, token)
		a.do(c, p, p.machine.GivenUp(supervisor.Now(c)))
	}
	a.forget(p)
}

// takeBack cancels the dial of an opening that has no connection yet.
func (a *client) takeBack(c actor.Context, token uint64) {
	if o := a.opening[token]; o.conn == nil {
		a.calls.trunk.CancelDial(token, o.pool.key.Peer, c.Self())
	}
}

// rests tells the machine how many sessions will be idle in a moment.
func (a *client) rests(p *sessionPool) {
	n := int(p.resting.Load())
	p.machine.Returning(n - p.rests)
	p.rests = n
}

// serve gives idle sessions to waiting callers.
func (a *client) serve(c actor.Context, p *sessionPool) {
	for _, s := range p.sessions {
		for {
			w, ok := p.first()
			if !ok || !s.acquire() {
				break
			}
			p.pop()
			c.Send(w.to, SessionGiven{Session: s})
		}
	}
	a.forget(p)
}

// first returns the caller that waits longest. It removes callers that have gone.
func (p *sessionPool) first() (waiter, bool) {
	for len(p.waiters) > 0 && p.waiters[0].gone() {
		p.pop()
	}
	if len(p.waiters) == 0 {
		return waiter{}, false
	}
	return p.waiters[0], true
}

// pop removes the first waiting caller.
func (p *sessionPool) pop() {
	p.waiters = p.waiters[1:]
	p.waiting.Add(-1)
	p.machine.Served()
}

// do carries out the effects of the machine.
func (a *client) do(c actor.Context, p *sessionPool, f onecall.PoolEffects) {
	if f.Fail != nil {
		for len(p.waiters) > 0 {
			w := p.waiters[0]
			p.pop()
			c.Send(w.to, SessionGiven{Err: f.Fail})
		}
	}
	for range f.Open {
		token := a.calls.trunk.NewID()
		a.opening[token] = &openingSession{pool: p}
		p.opening[token] = struct{}{}
		a.queued[p.key.Peer] = append(a.queued[p.key.Peer], token)
	}
	a.openNext(c, p.key.Peer)
	if !f.Wake.IsZero() && p.wake == nil {
		p.wake = supervisor.At(c, f.Wake, poolDue{p.key})
	}
}

// openNext begins openings that wait with a peer, as far as there may be more sessions. If there may not, a session that is idle
// ends for them.
func (a *client) openNext(c actor.Context, peer identity.NodeID) {
	for a.pending[peer] < maxOpening && len(a.queued[peer]) > 0 {
		if _, ends := a.ways[peer]; ends {
			return
		}
		if a.pending[peer]+a.established[peer] >= mostOfPeer {
			a.endIdle(c, peer, 0, 0)
			return
		}
		token := a.queued[peer][0]
		if a.queued[peer] = a.queued[peer][1:]; len(a.queued[peer]) == 0 {
			delete(a.queued, peer)
		}
		a.pending[peer]++
		a.open(c, token)
	}
}

// endIdle ends the session with a peer that has been idle longest, if that is rest or more, for the opening with the token: see way.
func (a *client) endIdle(c actor.Context, peer identity.NodeID, rest time.Duration, token uint64) bool {
	var oldest *Session
	var path string
	since := supervisor.Now(c).Add(-rest)
	for at, s := range a.sessions {
		if s.key.Peer != peer || s.closesWhenIdle() {
			continue
		}
		if freed := s.idleSince(); !freed.IsZero() && !freed.After(since) {
			oldest, path, since = s, at, freed
		}
	}
	if oldest == nil || !oldest.closeIdle() {
		return false
	}
	a.ways[peer] = way{path, token}
	c.Send(oldest.pid, closeSession{})
	return true
}

// wayFor has an opening that the peer has refused for want of places wait until an idle session of ours has ended, and then tried once more. It
// is false if there is none, if nobody waits for the opening, and while one ends for another. Services of the node itself have places apart.
func (a *client) wayFor(c actor.Context, token uint64) bool {
	o := a.opening[token]
	peer := o.pool.key.Peer
	_, ends := a.ways[peer]
	switch {
	case ends, o.pool.ways >= mostWays, o.pool.machine.Surplus() > 0, slices.Contains(a.calls.CloseWhenIdle, o.pool.key.Protocol):
		return false
	case !a.endIdle(c, peer, wayRest, token):
		return false
	}
	o.pool.ways++
	o.conn, o.pid = nil, nil
	return true
}

// wayMade is called when a session has ended. If that was for an opening, it is tried again, a moment later: the server frees the place behind
// its end of the session.
func (a *client) wayMade(c actor.Context, peer identity.NodeID, path string) {
	w, ok := a.ways[peer]
	switch {
	case !ok || w.path != path:
	case w.token == 0:
		delete(a.ways, peer)
		a.openNext(c, peer)
	default:
		a.ways[peer] = way{token: w.token}
		supervisor.After(c, openPause, openAgain{w.token})
	}
}

// openingEnded removes an opening that has succeeded or failed. The next opening that
// waits with this peer begins.
func (a *client) openingEnded(c actor.Context, token uint64) {
	peer := a.opening[token].pool.key.Peer
	a.opening[token].answered()
	delete(a.opening[token].pool.opening, token)
	delete(a.opening, token)
	if w, ok := a.ways[peer]; ok && w.token == token {
		delete(a.ways, peer)
	}
	if at := slices.Index(a.queued[peer], token); at >= 0 { // this opening had not begun
		if a.queued[peer] = slices.Delete(a.queued[peer], at, at+1); len(a.queued[peer]) == 0 {
			delete(a.queued, peer)
		}
		return
	}
	if a.pending[peer]--; a.pending[peer] == 0 {
		delete(a.pending, peer)
	}
	a.openNext(c, peer)
}

// open begins a try of an opening: first it gets a connection.
func (a *client) open(c actor.Context, token uint64) {
	o := a.opening[token]
	o.tries++
	o.conn = nil // the connection of an earlier try
	o.answered()
	if ref, ok := a.calls.trunk.Connection(o.pool.key.Peer); ok {
		c.Send(c.Self(), dialling.PeerDialed{Token: token, Peer: ref.Peer, Conn: ref})
		return
	}
	a.calls.trunk.Dial(token, o.pool.key.Peer, c.Self(), "RPC")
	o.await(c, dialling.DialLimit, token)
}

func (a *client) dialed(c actor.Context, m dialling.PeerDialed) {
	o := a.opening[m.Token]
	if o == nil {
		return
	}
	if m.Err != nil {
		if !errors.Is(m.Err, actors.ErrConnectionClosed) || !a.again(c, m.Token) {
			a.failed(c, m.Token, m.Err)
		}
		return
	}
	o.conn = m.Conn
	a.calls.trunk.OpenSubstream(o.conn, m.Token, c.Self(), o.pool.key.Protocol)
	o.await(c, connections.OpenLimit, m.Token)
}

// await sends openLate to the client after d, unless the answer comes before.
func (o *openingSession) await(c actor.Context, d time.Duration, token uint64) {
	o.answered()
	o.limit = supervisor.After(c, d, openLate{token, o.tries})
}

// answered stops the timer of the dial or the substream under way.
func (o *openingSession) answered() {
	if o.limit != nil {
		o.limit.Stop()
		o.limit = nil
	}
}

func (a *client) opened(c actor.Context, m actors.SubstreamOpened) {
	o := a.opening[m.Token]
	if o == nil || o.pid != nil {
		m.Discard()
		return
	}
	o.answered()
	a.serial++
	now := supervisor.Now(c)
	session := &Session{shared: a.calls, key: o.pool.key, conn: m.Conn, pool: o.pool, since: now, freed: now, credit: a.credit(o.pool.key.Peer)}
	session.state.Store(sessionBusy)
	child := &clientSession{session: session, token: m.Token, handed: m.Stream}
	o.pid = supervisor.Spawn(c, supervisor.Spec{
		Name: fmt.Sprintf("%s-%d", o.pool.key.Peer, a.serial), Kind: "rpcClientSession",
		New: func() actor.Actor { return child },
	})
	a.sessions[o.pid.Id] = session
	if !session.ours() { // otherwise one session may carry many calls
		a.do(c, o.pool, o.pool.machine.SetMax(now, a.calls.Clients))
	}
	if a.byConn[m.Conn.ID] == nil {
		a.byConn[m.Conn.ID] = make(map[string]*Session)
	}
	a.byConn[m.Conn.ID][o.pid.Id] = session
}

// credit returns the account of a peer, and counts one more session with it.
func (a *client) credit(peer identity.NodeID) *inboundCredit {
	r := a.credits[peer]
	if r == nil {
		r = &peerSessions{credit: newInboundCredit(a.calls, false)}
		a.credits[peer] = r
	}
	r.sessions++
	return r.credit
}

func (a *client) substreamFailed(c actor.Context, m connections.SubstreamFailed) {
	o := a.opening[m.Token]
	if o == nil {
		return
	}
	if !m.ConnectionLost || !a.again(c, m.Token) {
		a.failed(c, m.Token, m.Err)
	}
}

// again tries another connection for an opening whose connection has ended before there
// was a session. Nothing of a call was sent by then. A Rust node closes one of two crossing
// connections, and the other one is ready in a moment. again returns false after openTries
// tries.
func (a *client) again(c actor.Context, token uint64) bool {
	o := a.opening[token]
	o.conn, o.pid = nil, nil
	switch {
	case o.tries >= openTries:
		return false
	case o.tries == 1:
		a.open(c, token)
	default:
		supervisor.After(c, openPause<<(o.tries-2), openAgain{token})
	}
	return true
}

// failed ends an opening that has failed for good.
func (a *client) failed(c actor.Context, token uint64, err error) {
	p := a.opening[token].pool
	a.openingEnded(c, token)
	a.rests(p)
	a.do(c, p, p.machine.NotOpened(supervisor.Now(c), err, supervisor.Rand(c).Float64()))
	a.forget(p)
}

// ready handles the end of a handshake.
func (a *client) ready(c actor.Context, m sessionReady) {
	o := a.opening[m.token]
	if o == nil {
		return
	}
	if m.err != nil {
		c.Stop(o.pid)
		if errors.Is(m.err, mux.ErrSessionEnded) && a.again(c, m.token) {
			return
		}
		var rejected *rpc.RejectedError
		if errors.As(m.err, &rejected) && rejected.Busy() && a.wayFor(c, m.token) {
			return
		}
		if handshakeLost(m.err) {
			m.err = fmt.Errorf("%w: %w", rpc.ErrSessionLost, m.err)
		}
		a.failed(c, m.token, m.err)
		return
	}
	a.established[o.pool.key.Peer]++
	a.openingEnded(c, m.token)
	p, s := o.pool, m.session
	p.ways = 0
	p.sessions = append(p.sessions, s)
	a.rests(p)
	w, ok := p.first()
	f := p.machine.Opened(supervisor.Now(c)) // the machine counts one caller as served
	if ok {
		p.waiters = p.waiters[1:]
		p.waiting.Add(-1)
		c.Send(w.to, SessionGiven{Session: s})
	}
	a.calls.sessions.Set(p.key, slices.Clone(p.sessions))
	if !ok {
		s.release()
	}
	a.do(c, p, f)
	if s.many.Load() != nil {
		a.serve(c, p) // all that wait
	} else {
		a.do(c, p, p.machine.SetMax(supervisor.Now(c), a.calls.Clients))
	}
	if !a.ticking {
		a.ticking = true
		supervisor.After(c, clientTickEvery, clientTick{})
	}
}

// dismiss takes sessions out of the pool that take no further callers, so that it may open others in their place.
func (a *client) dismiss(c actor.Context, p *sessionPool) {
	for _, s := range slices.Clone(p.sessions) {
		if m := s.many.Load(); m != nil && m.leaving() {
			a.lose(c, p, s)
		}
	}
}

// lose takes a session out of its pool.
func (a *client) lose(c actor.Context, p *sessionPool, s *Session) {
	at := slices.Index(p.sessions, s)
	p.sessions = slices.Delete(p.sessions, at, at+1)
	if a.established[s.key.Peer]--; a.established[s.key.Peer] == 0 {
		delete(a.established, s.key.Peer)
	}
	a.publish(p)
	a.rests(p)
	a.do(c, p, p.machine.Ended(supervisor.Now(c))) // which also opens what has waited for the place
}

func handshakeLost(err error) bool {
	var rejected *rpc.RejectedError
	return !errors.As(err, &rejected) && !errors.Is(err, rpc.ErrProtocol)
}

// gone handles the end of a session's actor.
func (a *client) gone(c actor.Context, who *actor.PID) {
	s := a.sessions[who.Id]
	if s == nil {
		return
	}
	delete(a.sessions, who.Id)
	defer a.wayMade(c, s.key.Peer, who.Id)
	if delete(a.byConn[s.conn.ID], who.Id); len(a.byConn[s.conn.ID]) == 0 {
		delete(a.byConn, s.conn.ID)
	}
	if m := s.many.Load(); m != nil {
		m.gone()
	}
	p := s.pool
	if s.state.Swap(sessionOver) == sessionResting { // its actor has failed
		p.resting.Add(-1)
	}
	if r := a.credits[s.key.Peer]; r.sessions == 1 {
		delete(a.credits, s.key.Peer)
	} else {
		r.sessions--
	}
	if !slices.Contains(p.sessions, s) { // the session was never ready
		for token := range p.opening {
			if o := a.opening[token]; o.pid != nil && o.pid.Equal(who) { // its actor has failed
				a.failed(c, token, actors.ErrConnectionClosed)
				break
			}
		}
		return
	}
	a.lose(c, p, s)
	a.forget(p)
}

func (a *client) publish(p *sessionPool) {
	if len(p.sessions) == 0 {
		a.calls.sessions.Delete(p.key)
		return
	}
	a.calls.sessions.Set(p.key, slices.Clone(p.sessions))
}

// forget removes a pool without sessions, openings and callers.
func (a *client) forget(p *sessionPool) {
	if p.machine.Unused() && p.wake == nil && a.pools[p.key] == p {
		delete(a.pools, p.key)
	}
}

// disconnected ends the idle sessions of a connection. A caller that uses a session of it
// gets an error from its own read or write.
func (a *client) disconnected(c actor.Context, conn *actors.ConnRef) {
	for path, s := range a.byConn[conn.ID] {
		if s.closeIdle() {
			if s.many.Load() == nil {
				s.in.release()
			}
			c.Stop(a.calls.trunk.System().NewLocalPID(path))
		}
	}
}

// tick closes sessions that were idle for long or whose connection is retired, and
// interrupts calls whose next frame is late.
func (a *client) tick(c actor.Context) {
	if len(a.sessions) == 0 {
		a.ticking = false
		return
	}
	now := supervisor.Now(c)
	for _, s := range a.sessions {
		many := s.many.Load()
		s.mu.Lock()
		serial, freed, late := s.serial, s.freed, !s.until.IsZero() && !now.Before(s.until)
		s.mu.Unlock()
		if many != nil {
			freed = many.idleSince()
		}
		unused := s.conn.Retired() || s.closesWhenIdle() || !freed.IsZero() && now.Sub(freed) >= clientIdle
		switch {
		case late:
			s.interrupt(serial)
		case unused && s.closeIdle():
			c.Send(s.pid, closeSession{})
		case many != nil:
			many.late(now)
		}
	}
	for peer := range a.queued {
		a.openNext(c, peer)
	}
	supervisor.After(c, clientTickEvery, clientTick{})
}

// abandon answers all waiting callers with an error.
func (a *client) abandon() {
	for _, p := range a.pools {
		for _, w := range p.waiters {
			a.calls.trunk.System().Root.Send(w.to, SessionGiven{Err: actors.ErrClosing})
		}
	}
	a.calls.sessions.Clear()
}

func (a *client) String() string {
	waiting := 0
	for _, p := range a.pools {
		waiting += len(p.waiters)
	}
	s := fmt.Sprintf("%d sessions", len(a.sessions))
	if waiting > 0 {
		s += fmt.Sprintf(", %d callers waiting", waiting)
	}
	return s
}
