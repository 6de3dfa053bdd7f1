package actors

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Enqueue is one message on its way to a messaging session, with the credit it
// holds. Whatever happens to it, it ends in exactly one Sent to its reply
// address. [Env.SendFrom], [Env.Enqueue] and [Env.Send] make it.
type Enqueue struct {
	id      uint64 // with reply the sender's, repeated in Sent; with done that for Withdraw
	body    []byte
	reply   *actor.PID             // hears Sent; or
	done    func(protocol.Outcome) // is called, and must not block
	system  *actor.ActorSystem
	account *outAccount
	peer    identity.NodeID
	resend  bool
	ours    bool        // reply is an actor of supervisor's: it understands a Bundle
	detour  atomic.Bool // counted in account.detour
	settled atomic.Bool
}

// Discard settles a message that no session handled: it was never written.
func (m *Enqueue) Discard() {
	m.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed})
}

// Messenger is a peer's messaging session in the directory.
type Messenger struct {
	PID     *actor.PID
	account *outAccount
}

// settle returns the credit and tells the outcome, once.
func (m *Enqueue) settle(o protocol.Outcome) {
	if !m.settled.CompareAndSwap(false, true) {
		return
	}
	m.arrived()
	if m.account != nil {
		m.account.Return(len(m.body))
	}
	m.tell(o)
}

// maxTold is how many outcomes are told together.
const maxTold = 64

// settleAll settles many at once and returns their credit in one go. Told is
// what the outcomes are gathered in; it is empty before and after.
func settleAll(all []messaging.Settled[*Enqueue], told *supervisor.Bundle) {
	var account *outAccount
	var cost int64
	for i := range all {
		m := all[i].Tag
		if !m.settled.CompareAndSwap(false, true) {
			all[i].Tag = nil
			continue
		}
		m.arrived()
		if m.account != account {
			if cost > 0 {
				account.ReturnCost(cost)
			}
			account, cost = m.account, 0
		}
		if account != nil {
			cost += credit.Cost(len(m.body))
		}
	}
	if cost > 0 {
		account.ReturnCost(cost)
	}
	var last *Enqueue // of those in told
	flush := func() {
		if len(*told) > 0 {
			last.system.Root.Send(last.reply, told)
			clear(*told)
			*told = (*told)[:0]
		}
	}
	for i := range all {
		m := all[i].Tag
		if m == nil {
			continue
		}
		if last != nil && (last.reply != m.reply || !m.ours) || len(*told) == maxTold {
			flush()
		}
		if last = m; m.ours {
			*told = append(*told, m.sent(all[i].Outcome))
		} else {
			m.tell(all[i].Outcome)
		}
	}
	flush()
}

// tell tells the outcome to whoever sent the message.
func (m *Enqueue) tell(o protocol.Outcome) {
	switch {
	case m.done != nil:
		m.done(o)
	case m.reply != nil:
		m.system.Root.Send(m.reply, m.sent(o))
	}
}

func (m *Enqueue) sent(o protocol.Outcome) Sent { return Sent{m.id, m.peer, o} }

// serial is what Withdraw knows the message by; 0: nobody can withdraw it.
func (m *Enqueue) serial() uint64 {
	if m.done == nil {
		return 0
	}
	return m.id
}

// arrived ends a detour: what the sender sends from now on may go straight.
func (m *Enqueue) arrived() {
	if m.detour.Load() && m.detour.CompareAndSwap(true, false) {
		m.account.detour.Add(-1)
	}
}

// enqueue sends a message that holds its credit to the peer's session, or
// through messaging when there is none yet, or when an earlier message is still
// on that way.
func (e *Env) enqueue(m *Enqueue, session *actor.PID) {
	if session != nil && m.account.detour.Load() == 0 {
		e.System.Root.Send(session, m)
		return
	}
	m.detour.Store(true)
	m.account.detour.Add(1)
	e.System.Root.Send(e.Messaging, m)
}

// SendFrom sends a message on behalf of an actor in its turn, which hears Sent.
// It is otherwise as Enqueue.
func (e *Env) SendFrom(c actor.Context, m SendBody) {
	q := e.newEnqueue(m, c.Self())
	q.ours = supervisor.Spawned(c)
	e.accept(q)
}

// Enqueue sends a message on behalf of an actor, straight to the peer's
// session. It never waits: without credit the outcome is Failed(overloaded).
// reply hears Sent.
func (e *Env) Enqueue(m SendBody, reply *actor.PID) { e.accept(e.newEnqueue(m, reply)) }

func (e *Env) accept(q *Enqueue) {
	if len(q.body) > e.Profile.Limits.MessageBody {
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong})
		return
	}
	session, ok := e.Sessions.Get(q.peer)
	if !ok {
		session.account = e.outbound(q.peer)
	}
	if q.account = session.account; q.account.TryTake(len(q.body)) {
		e.enqueue(q, session.PID)
		return
	}
	q.account = nil
	e.dropAccount(q.peer)
	q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Overloaded})
}

// Send sends a message on behalf of a caller outside the tree. It waits for
// credit until ctx ends; the error is ctx's then, and the message was not
// accepted. After that done is called exactly once; it must not block. The
// serial is for Withdraw.
func (e *Env) Send(ctx context.Context, m SendBody, done func(protocol.Outcome)) (serial uint64, err error) {
	m.ID = e.NewID()
	q := e.newEnqueue(m, nil)
	q.done = done
	if len(m.Body) > e.Profile.Limits.MessageBody {
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong})
		return q.id, nil
	}
	session, ok := e.Sessions.Get(m.Peer)
	if !ok {
		session.account = e.outbound(m.Peer)
	}
	account := session.account
	if !account.TryTake(len(m.Body)) { // else the session is still as new as need be
		if err := account.Take(ctx, len(m.Body)); err != nil {
			e.dropAccount(m.Peer)
			return 0, err
		}
		session, _ = e.Sessions.Get(m.Peer)
	}
	q.account = account
	e.enqueue(q, session.PID)
	return q.id, nil
}

// Withdraw says that the sender of a message waits no longer. If it was not
// written yet it fails; else it is in doubt.
func (e *Env) Withdraw(peer identity.NodeID, serial uint64) {
	e.System.Root.Send(e.Messaging, withdraw{serial, peer})
}

func (e *Env) newEnqueue(m SendBody, reply *actor.PID) *Enqueue {
	return &Enqueue{
		id: m.ID, peer: m.Peer, body: m.Body, resend: m.Resend,
		reply: reply, system: e.System,
	}
}

// messengers is the messaging actor: it has one session per peer with traffic and hands it what comes in
// for that peer.
//
// In: SubstreamOpened, Enqueue and SendBody (the first for a peer), retired.
// Out: passes on. A restart loses the sessions; what they held ends InDoubt or
// Failed.
type messengers struct {
	env      *Env
	leaving  map[identity.NodeID]*held // sessions that are stopping
	draining *drain
}

// held is what waits until a session has stopped and its name is free.
type held struct {
	returned  []any // by that session, which got it straight: the oldest
	waiting   []any
	withdrawn []withdraw // of these, to be passed on after them
}

func newMessaging(env *Env) actor.Actor {
	return &messengers{env: env, leaving: make(map[identity.NodeID]*held)}
}

type (
	// retired says that a session has nothing to do and takes nothing more.
	retired struct{ peer identity.NodeID }
	// returned is a message that still reached it.
	returned struct {
		peer identity.NodeID
		msg  any
	}
	// stopRetired stops it a moment later, when whoever had read its address
	// from the directory has used it.
	stopRetired struct{ peer identity.NodeID }
)

// Discard settles what nobody will handle.
func (m returned) Discard() {
	if d, ok := m.msg.(supervisor.Discarder); ok {
		d.Discard()
	}
}

const retireGrace = 50 * time.Millisecond

func (a *messengers) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Own(c, closerFunc(a.clear)) // nobody may find a session of an ended incarnation
	case *Enqueue:
		a.pass(c, m.peer, m)
	case SendBody:
		a.env.Enqueue(m, c.Sender())
	case SubstreamOpened:
		a.pass(c, m.Peer, m)
	case withdraw:
		a.withdraw(c, m)
	case retired:
		a.leaving[m.peer] = &held{}
		a.env.Sessions.Delete(m.peer)
		supervisor.After(c, retireGrace, stopRetired(m))
	case returned:
		if w, ok := m.msg.(withdraw); ok {
			a.withdraw(c, w)
		} else if h, ok := a.leaving[m.peer]; ok {
			h.returned = append(h.returned, m.msg)
		} else {
			a.pass(c, m.peer, m.msg)
		}
	case stopRetired:
		if _, ok := a.leaving[m.peer]; ok { // else it has crashed
			c.Stop(a.sessionPID(c, m.peer))
		}
	case *actor.Terminated:
		a.terminated(c, m.Who)
	case supervisor.Drain:
		a.drain(c, m)
	case supervisor.Drained:
		a.draining.drained(c, m.From)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *messengers) clear() error {
	for peer := range a.env.Sessions.Clear() {
		a.env.unpinAccount(peer)
	}
	for peer, h := range a.leaving {
		a.env.unpinAccount(peer)
		for _, m := range append(h.returned, h.waiting...) {
			returned{msg: m}.Discard()
		}
	}
	return nil
}

func (a *messengers) sessionPID(c actor.Context, peer identity.NodeID) *actor.PID {
	return a.env.System.NewLocalPID(c.Self().Id + "/" + peer.String())
}

// pass hands a message to the session of a peer, starting one if there is none.
func (a *messengers) pass(c actor.Context, peer identity.NodeID, m any) {
	if a.draining != nil {
		if d, ok := m.(supervisor.Discarder); ok {
			d.Discard()
		}
		return
	}
	if h, ok := a.leaving[peer]; ok {
		h.waiting = append(h.waiting, m)
		return
	}
	session, ok := a.env.Sessions.Get(peer)
	if !ok {
		session = a.spawn(c, peer)
	}
	c.Send(session.PID, m)
	if q, ok := m.(*Enqueue); ok {
		q.arrived()
	}
}

// withdraw tells the session that has the message, now or in a moment.
func (a *messengers) withdraw(c actor.Context, m withdraw) {
	if h, ok := a.leaving[m.Peer]; ok {
		h.withdrawn = append(h.withdrawn, m)
	} else if session, ok := a.env.Sessions.Get(m.Peer); ok {
		c.Send(session.PID, m)
	}
}

func (a *messengers) spawn(c actor.Context, peer identity.NodeID) Messenger {
	pid := supervisor.Spawn(c, supervisor.Spec{
		Name: peer.String(), Kind: "messagingSession",
		New:    func() actor.Actor { return NewSession(a.env, peer) },
		Alarm:  a.env.sessionAlarm(),
		Drains: true,
	})
	session := Messenger{PID: pid, account: a.env.pinAccount(peer)}
	a.env.Sessions.Set(peer, session)
	return session
}

// terminated is the end of a session, in order or by a crash.
func (a *messengers) terminated(c actor.Context, who *actor.PID) {
	a.draining.drained(c, who)
	peer, err := identity.ParseNodeID(nameOf(who))
	if err != nil {
		return
	}
	h, leaving := a.leaving[peer]
	delete(a.leaving, peer)
	if !leaving {
		a.env.Sessions.Delete(peer)
		h = &held{}
	}
	a.env.unpinAccount(peer)
	for _, m := range h.returned {
		a.pass(c, peer, m)
	}
	for _, m := range h.waiting {
		a.pass(c, peer, m)
	}
	for _, m := range h.withdrawn {
		a.withdraw(c, m)
	}
}

func nameOf(pid *actor.PID) string {
	id := pid.Id
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			return id[i+1:]
		}
	}
	return id
}

func (a *messengers) drain(c actor.Context, m supervisor.Drain) {
	a.draining = newDrain(c.Sender())
	for _, session := range a.env.Sessions.All() {
		a.draining.ask(c, session.PID, m)
	}
	a.draining.drained(c, c.Self())
}

func (a *messengers) String() string { return fmt.Sprintf("%d sessions", a.env.Sessions.Len()) }
