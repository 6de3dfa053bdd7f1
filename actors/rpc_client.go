package actors

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/mux"
)

// rpcClient opens and ends our sessions with services of peers, and hands them
// to callers who find no idle one. When another is opened is decided by rpc.Pool.
//
// In: AcquireSession, SessionUnwanted, sessionReady, sessionFree, SubstreamOpened, PeerDialed,
// rpcEnded, event PeerDisconnected. Out: SessionGiven, DialPeer, CancelDial,
// OpenSubstream. A
// restart loses the sessions and tells who waits.
type rpcClient struct {
	env      *Env
	pools    map[RPCKey]*rpcPool
	opening  map[uint64]*rpcOpening // by token
	sessions map[string]*RPCSession // by path
	byConn   map[uint64]map[string]*RPCSession
	pending  map[identity.NodeID]int      // openings under way by peer
	held     map[identity.NodeID][]uint64 // tokens of those that wait for that
	credits  map[identity.NodeID]*rpcPeer
	serial   uint64
	ticking  bool
}

// rpcPool is the sessions with one service of one peer. The two counts are for
// callers.
type rpcPool struct {
	key      RPCKey
	machine  *rpc.Pool
	waiters  []rpcWaiter
	sessions []*RPCSession
	opening  map[uint64]struct{} // tokens
	rests    int                 // what the machine was told
	wake     *supervisor.Timer

	waiting atomic.Int32
	resting atomic.Int32
}

// rpcPeer is a peer with whom we have sessions.
type rpcPeer struct {
	credit   *rpcCredit
	sessions int
}

type rpcWaiter struct {
	to   *actor.PID
	gone func() bool
}

// rpcOpening is a session that is being opened.
type rpcOpening struct {
	pool  *rpcPool
	conn  *ConnRef
	tries int
	limit *supervisor.Timer // of the dial or the substream under way; nil: none runs
	pid   *actor.PID        // of the session's actor, once there is one
}

type (
	sessionFree  struct{ key RPCKey }
	sessionReady struct {
		token   uint64
		session *RPCSession
		err     error
	}
	poolDue    struct{ key RPCKey }
	clientTick struct{}
	openLate   struct {
		token uint64
		try   int
	}
	openAgain struct{ token uint64 }
)

const (
	clientTickEvery = time.Second
	clientIdle      = 5 * time.Minute       // our idle sessions end, before the server ends them
	openTries       = 8                     // connections tried in a row that ended before there was a session
	openPause       = 20 * time.Millisecond // before the third of them, doubling
	maxOpening      = 3                     // sessions being opened with one peer (V 18)
)

func newRPCClient(env *Env) actor.Actor {
	return &rpcClient{
		env: env, pools: make(map[RPCKey]*rpcPool),
		opening: make(map[uint64]*rpcOpening), sessions: make(map[string]*RPCSession),
		byConn:  make(map[uint64]map[string]*RPCSession),
		pending: make(map[identity.NodeID]int), held: make(map[identity.NodeID][]uint64),
		credits: make(map[identity.NodeID]*rpcPeer),
	}
}

func (a *rpcClient) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.env.rpcSessions.Clear()
		supervisor.Subscribe[PeerDisconnected](c)
		supervisor.Own(c, closerFunc(func() error { a.abandon(); return nil }))
	case AcquireSession:
		a.acquire(c, m)
	case SessionUnwanted:
		if p := a.pools[m.Key]; p != nil {
			a.unwanted(c, p)
		}
	case sessionFree:
		if p := a.pools[m.key]; p != nil {
			a.serve(c, p)
			a.rests(p) // who goes on waiting waits for one less
			a.do(c, p, p.machine.Due(supervisor.Now(c)))
		}
	case PeerDialed:
		a.dialed(c, m)
	case SubstreamOpened:
		a.opened(c, m)
	case SubstreamFailed:
		a.substreamFailed(c, m)
	case openLate:
		if o := a.opening[m.token]; o != nil && o.pid == nil && o.tries == m.try {
			a.takeBack(c, m.token)
			a.failed(c, m.token, errNoAnswer)
		}
	case openAgain:
		if a.opening[m.token] != nil {
			a.open(c, m.token)
		}
	case sessionReady:
		a.ready(c, m)
	case rpcEnded:
		c.Stop(m.who)
	case *actor.Terminated:
		a.gone(c, m.Who)
	case PeerDisconnected:
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

// acquire gives a session to a caller, or has him wait.
func (a *rpcClient) acquire(c actor.Context, m AcquireSession) {
	p := a.pools[m.Key]
	if p == nil {
		if err := a.env.unreachable(m.Key.Peer); err != nil { // nothing is made for it
			reply(c, SessionGiven{Err: err})
			return
		}
		p = &rpcPool{key: m.Key, opening: make(map[uint64]struct{}), machine: rpc.NewPool(rpc.PoolOptions{Max: a.env.RPC.Clients})}
		a.pools[m.Key] = p
	}
	if len(p.waiters) == 0 {
		for _, s := range p.sessions {
			if s.acquire() {
				reply(c, SessionGiven{Session: s})
				return
			}
		}
	}
	p.waiters = append(p.waiters, rpcWaiter{c.Sender(), m.Gone})
	p.waiting.Add(1) // from here on who releases one tells us
	a.rests(p)
	f := p.machine.Wanted(supervisor.Now(c))
	a.serve(c, p) // one may have been released just before
	a.do(c, p, f)
}

// unwanted takes leave of the callers who have gone, and ends the dials that
// nobody waits for any more, the latest first. A substream that is being opened
// is left: it costs little, and the next caller will want it.
func (a *rpcClient) unwanted(c actor.Context, p *rpcPool) {
	p.waiters = slices.DeleteFunc(p.waiters, func(w rpcWaiter) bool {
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
		if p.machine.Unwanted() == 0 {
			break
		}
		a.takeBack(c, token)
		a.openingEnded(c, token)
		a.do(c, p, p.machine.GivenUp(supervisor.Now(c)))
	}
	a.forget(p)
}

// takeBack ends our dial for an opening, if that is where it stands.
func (a *rpcClient) takeBack(c actor.Context, token uint64) {
	if o := a.opening[token]; o.conn == nil {
		c.Send(a.env.Dialer, CancelDial{Peer: o.pool.key.Peer, Token: token, Reply: c.Self()})
	}
}

// rests tells the machine how many sessions are idle in a moment.
func (a *rpcClient) rests(p *rpcPool) {
	n := int(p.resting.Load())
	p.machine.Resting(n - p.rests)
	p.rests = n
}

// serve hands idle sessions to those who wait.
func (a *rpcClient) serve(c actor.Context, p *rpcPool) {
	for _, s := range p.sessions {
		w, ok := p.first()
		if !ok {
			break
		}
		if s.acquire() {
			p.pop()
			c.Send(w.to, SessionGiven{Session: s})
		}
	}
	a.forget(p)
}

// first is who waits longest, without those who have gone.
func (p *rpcPool) first() (rpcWaiter, bool) {
	for len(p.waiters) > 0 && p.waiters[0].gone() {
		p.pop()
	}
	if len(p.waiters) == 0 {
		return rpcWaiter{}, false
	}
	return p.waiters[0], true
}

// pop takes the first away.
func (p *rpcPool) pop() {
	p.waiters = p.waiters[1:]
	p.waiting.Add(-1)
	p.machine.Served()
}

// do carries out what the machine says.
func (a *rpcClient) do(c actor.Context, p *rpcPool, f rpc.PoolEffects) {
	if f.Fail != nil {
		for len(p.waiters) > 0 {
			w := p.waiters[0]
			p.pop()
			c.Send(w.to, SessionGiven{Err: f.Fail})
		}
	}
	for range f.Open {
		token := a.env.NewID()
		a.opening[token] = &rpcOpening{pool: p}
		p.opening[token] = struct{}{}
		if a.pending[p.key.Peer] >= maxOpening {
			a.held[p.key.Peer] = append(a.held[p.key.Peer], token)
			continue
		}
		a.pending[p.key.Peer]++
		a.open(c, token)
	}
	if !f.Wake.IsZero() && p.wake == nil {
		p.wake = supervisor.At(c, f.Wake, poolDue{p.key})
	}
}

// openingEnded is the end of an opening, good or bad: the next one may begin.
func (a *rpcClient) openingEnded(c actor.Context, token uint64) {
	peer := a.opening[token].pool.key.Peer
	a.opening[token].answered()
	delete(a.opening[token].pool.opening, token)
	delete(a.opening, token)
	if at := slices.Index(a.held[peer], token); at >= 0 { // it had not begun
		if a.held[peer] = slices.Delete(a.held[peer], at, at+1); len(a.held[peer]) == 0 {
			delete(a.held, peer)
		}
		return
	}
	if waiting := a.held[peer]; len(waiting) > 0 {
		if a.held[peer] = waiting[1:]; len(waiting) == 1 {
			delete(a.held, peer)
		}
		a.open(c, waiting[0])
		return
	}
	if a.pending[peer]--; a.pending[peer] == 0 {
		delete(a.pending, peer)
	}
}

// open begins with a connection.
func (a *rpcClient) open(c actor.Context, token uint64) {
	o := a.opening[token]
	o.tries++
	o.conn = nil // of an earlier try
	o.answered()
	if ref, ok := a.env.Connections.Get(o.pool.key.Peer); ok {
		c.Send(c.Self(), PeerDialed{Token: token, Peer: ref.Peer, Conn: ref})
		return
	}
	c.Send(a.env.Dialer, NewDialPeer(a.env.System, token, o.pool.key.Peer, c.Self(), "RPC"))
	o.await(c, dialLimit, token)
}

func (a *rpcClient) dialed(c actor.Context, m PeerDialed) {
	o := a.opening[m.Token]
	if o == nil {
		return
	}
	if m.Err != nil {
		if !errors.Is(m.Err, ErrConnectionClosed) || !a.again(c, m.Token) {
			a.failed(c, m.Token, m.Err)
		}
		return
	}
	o.conn = m.Conn
	c.Send(o.conn.PID, NewOpenSubstream(a.env.System, m.Token, c.Self(), o.pool.key.Protocol))
	o.await(c, openLimit, m.Token)
}

// await has openLate come after d, unless the answer comes before.
func (o *rpcOpening) await(c actor.Context, d time.Duration, token uint64) {
	o.answered()
	o.limit = supervisor.After(c, d, openLate{token, o.tries})
}

// answered is the end of the dial or the substream under way.
func (o *rpcOpening) answered() {
	if o.limit != nil {
		o.limit.Stop()
		o.limit = nil
	}
}

func (a *rpcClient) opened(c actor.Context, m SubstreamOpened) {
	o := a.opening[m.Token]
	if o == nil || o.pid != nil {
		m.Discard()
		return
	}
	o.answered()
	a.serial++
	now := supervisor.Now(c)
	session := &RPCSession{env: a.env, key: o.pool.key, conn: m.Conn, pool: o.pool, since: now, freed: now, credit: a.credit(o.pool.key.Peer)}
	session.state.Store(sessionBusy)
	child := &rpcClientSession{session: session, token: m.Token, handed: m.Stream}
	o.pid = supervisor.Spawn(c, supervisor.Spec{
		Name: fmt.Sprintf("%s-%d", o.pool.key.Peer, a.serial), Kind: "rpcClientSession",
		New: func() actor.Actor { return child },
	})
	a.sessions[o.pid.Id] = session
	if a.byConn[m.Conn.ID] == nil {
		a.byConn[m.Conn.ID] = make(map[string]*RPCSession)
	}
	a.byConn[m.Conn.ID][o.pid.Id] = session
}

// credit is the account of a peer for one more session.
func (a *rpcClient) credit(peer identity.NodeID) *rpcCredit {
	r := a.credits[peer]
	if r == nil {
		r = &rpcPeer{credit: newRPCCredit(a.env)}
		a.credits[peer] = r
	}
	r.sessions++
	return r.credit
}

func (a *rpcClient) substreamFailed(c actor.Context, m SubstreamFailed) {
	o := a.opening[m.Token]
	if o == nil {
		return
	}
	if !m.ConnectionLost || !a.again(c, m.Token) {
		a.failed(c, m.Token, m.Err)
	}
}

// again tries another connection, since the one that an opening had, or the
// dialer gave, has ended before there was a session. Nothing of a call has left
// then. Of two connections that cross a Rust node closes one, and the other one
// is there in a moment. It is false after openTries connections.
func (a *rpcClient) again(c actor.Context, token uint64) bool {
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

// failed is an attempt that came to nothing.
func (a *rpcClient) failed(c actor.Context, token uint64, err error) {
	p := a.opening[token].pool
	a.openingEnded(c, token)
	a.rests(p)
	a.do(c, p, p.machine.NotOpened(supervisor.Now(c), err, supervisor.Rand(c).Float64()))
	a.forget(p)
}

// ready is the end of a handshake.
func (a *rpcClient) ready(c actor.Context, m sessionReady) {
	o := a.opening[m.token]
	if o == nil {
		return
	}
	if m.err != nil {
		c.Stop(o.pid)
		if errors.Is(m.err, mux.ErrSessionEnded) && a.again(c, m.token) {
			return
		}
		if rpcHandshakeLost(m.err) {
			m.err = fmt.Errorf("%w: %w", rpc.ErrSessionLost, m.err)
		}
		a.failed(c, m.token, m.err)
		return
	}
	a.openingEnded(c, m.token)
	p, s := o.pool, m.session
	p.sessions = append(p.sessions, s)
	a.rests(p)
	w, ok := p.first()
	f := p.machine.Opened(supervisor.Now(c)) // takes one who waits
	if ok {
		p.waiters = p.waiters[1:]
		p.waiting.Add(-1)
		c.Send(w.to, SessionGiven{Session: s})
	}
	a.env.rpcSessions.Set(p.key, slices.Clone(p.sessions))
	if !ok {
		s.release()
	}
	a.do(c, p, f)
	if !a.ticking {
		a.ticking = true
		supervisor.After(c, clientTickEvery, clientTick{})
	}
}

func rpcHandshakeLost(err error) bool {
	var rejected *rpc.RejectedError
	return !errors.As(err, &rejected) && !errors.Is(err, rpc.ErrProtocol)
}

// gone is the end of a session.
func (a *rpcClient) gone(c actor.Context, who *actor.PID) {
	s := a.sessions[who.Id]
	if s == nil {
		return
	}
	delete(a.sessions, who.Id)
	if delete(a.byConn[s.conn.ID], who.Id); len(a.byConn[s.conn.ID]) == 0 {
		delete(a.byConn, s.conn.ID)
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
	at := slices.Index(p.sessions, s)
	if at < 0 { // it never was one
		for token := range p.opening {
			if o := a.opening[token]; o.pid != nil && o.pid.Equal(who) { // its actor has failed
				a.failed(c, token, ErrConnectionClosed)
				break
			}
		}
		return
	}
	p.sessions = slices.Delete(p.sessions, at, at+1)
	a.publish(p)
	a.rests(p)
	a.do(c, p, p.machine.Ended(supervisor.Now(c)))
	a.forget(p)
}

func (a *rpcClient) publish(p *rpcPool) {
	if len(p.sessions) == 0 {
		a.env.rpcSessions.Delete(p.key)
		return
	}
	a.env.rpcSessions.Set(p.key, slices.Clone(p.sessions))
}

// forget drops a pool of which nothing is left.
func (a *rpcClient) forget(p *rpcPool) {
	if p.machine.Unused() && p.wake == nil && a.pools[p.key] == p {
		delete(a.pools, p.key)
	}
}

// disconnected ends the idle sessions of a connection. Who makes a call on one
// hears of it himself.
func (a *rpcClient) disconnected(c actor.Context, conn *ConnRef) {
	for path, s := range a.byConn[conn.ID] {
		if s.state.CompareAndSwap(sessionIdle, sessionOver) {
			s.in.release()
			c.Stop(a.env.System.NewLocalPID(path))
		}
	}
}

// tick ends sessions that nobody uses, and calls that nobody answers.
func (a *rpcClient) tick(c actor.Context) {
	if len(a.sessions) == 0 {
		a.ticking = false
		return
	}
	now := supervisor.Now(c)
	for _, s := range a.sessions {
		s.mu.Lock()
		serial, late := s.serial, !s.until.IsZero() && !now.Before(s.until)
		unused := s.conn.retired() || !s.freed.IsZero() && now.Sub(s.freed) >= clientIdle
		s.mu.Unlock()
		switch {
		case late:
			s.interrupt(serial)
		case unused && s.state.CompareAndSwap(sessionIdle, sessionOver):
			c.Send(s.pid, closeSession{})
		}
	}
	supervisor.After(c, clientTickEvery, clientTick{})
}

// abandon tells everybody who waits that there will be no session.
func (a *rpcClient) abandon() {
	for _, p := range a.pools {
		for _, w := range p.waiters {
			a.env.System.Root.Send(w.to, SessionGiven{Err: ErrClosing})
		}
	}
	a.env.rpcSessions.Clear()
}

func (a *rpcClient) String() string {
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
