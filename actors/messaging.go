package actors

import (
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
// address. [Messaging.SendFrom], [Messaging.Enqueue] and [Messaging.Send] make it.
type Enqueue struct {
	id      uint64 // with reply the sender's, repeated in Sent; with done that for Withdraw
	body    []byte
	reply   *actor.PID             // hears Sent; or
	done    func(protocol.Outcome) // is called, and must not block
	env     *env
	account *outAccount
	peer    identity.NodeID
	resend  bool
	unique  bool        // nobody else uses id: the sender may withdraw it
	ours    bool        // reply is an actor of supervisor's: it understands a Bundle
	direct  *Messaging  // was sent straight to a session that was read from this directory
	detour  atomic.Bool // counted in account.detour
	settled atomic.Bool
}

// Discard is called for a message that no session handled: it was never written.
// The session may have ended in order between its sender's look at the directory
// and its sending, however long that took, so a message that went straight there
// takes the way through the protocol's actor, which starts another session.
// What nobody handles there either has failed.
func (m *Enqueue) Discard() {
	if around := m.direct; around != nil && !m.settled.Load() {
		around.passAround(m)
		return
	}
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
			last.env.System.Root.Send(last.reply, told)
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
		m.env.System.Root.Send(m.reply, m.sent(o))
	}
}

func (m *Enqueue) sent(o protocol.Outcome) Sent { return Sent{m.id, m.peer, o} }

// serial is what Withdraw knows the message by; 0: nobody can withdraw it.
func (m *Enqueue) serial() uint64 {
	if m.done == nil && !m.unique {
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

// messengers is the actor of one messaging protocol: it has one session per peer with traffic and hands it
// what comes in for that peer.
//
// In: SubstreamOpened, Enqueue and SendBody (the first for a peer), retired.
// Out: passes on. A restart loses the sessions; what they held ends InDoubt or
// Failed.
type messengers struct {
	env      *env
	protocol *Messaging
	leaving  map[identity.NodeID]*held // sessions that are stopping
	draining *supervisor.Draining
}

// held is what waits until a session has stopped and its name is free.
type held struct {
	returned  []any // by that session, which got it straight: the oldest
	waiting   []any
	withdrawn []withdraw // of these, to be passed on after them
}

func newMessengers(m *Messaging) actor.Actor {
	return &messengers{env: m.env, protocol: m, leaving: make(map[identity.NodeID]*held)}
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
		supervisor.OwnFunc(c, a.clear) // nobody may find a session of an ended incarnation
	case *Enqueue:
		a.pass(c, m.peer, m)
	case SendBody:
		a.protocol.Enqueue(m, c.Sender())
	case SubstreamOpened:
		a.pass(c, m.Peer, m)
	case withdraw:
		a.withdraw(c, m)
	case retired:
		a.leaving[m.peer] = &held{}
		a.protocol.Sessions.Delete(m.peer)
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
		a.draining.Finished(c, m.From)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *messengers) clear() {
	for peer := range a.protocol.Sessions.Clear() {
		a.protocol.accounts.unpin(peer)
	}
	for peer, h := range a.leaving {
		a.protocol.accounts.unpin(peer)
		for _, m := range append(h.returned, h.waiting...) {
			returned{msg: m}.Discard()
		}
	}
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
	session, ok := a.protocol.Sessions.Get(peer)
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
	} else if session, ok := a.protocol.Sessions.Get(m.Peer); ok {
		c.Send(session.PID, m)
	}
}

func (a *messengers) spawn(c actor.Context, peer identity.NodeID) Messenger {
	pid := supervisor.Spawn(c, supervisor.Spec{
		Name: peer.String(), Kind: "messagingSession",
		New:    func() actor.Actor { return newSession(a.protocol, peer) },
		Alarm:  a.env.sessionAlarm(),
		Drains: true,
	})
	session := Messenger{PID: pid, account: a.protocol.accounts.pin(peer)}
	a.protocol.Sessions.Set(peer, session)
	return session
}

// terminated is the end of a session, in order or by a crash.
func (a *messengers) terminated(c actor.Context, who *actor.PID) {
	a.draining.Finished(c, who)
	peer, err := identity.ParseNodeID(nameOf(who))
	if err != nil {
		return
	}
	h, leaving := a.leaving[peer]
	delete(a.leaving, peer)
	if !leaving {
		a.protocol.Sessions.Delete(peer)
		h = &held{}
	}
	a.protocol.accounts.unpin(peer)
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
	a.draining = supervisor.NewDraining(c.Sender())
	for _, session := range a.protocol.Sessions.All() {
		a.draining.Ask(c, session.PID, m)
	}
	a.draining.Finished(c, c.Self())
}

func (a *messengers) String() string { return fmt.Sprintf("%d sessions", a.protocol.Sessions.Len()) }
