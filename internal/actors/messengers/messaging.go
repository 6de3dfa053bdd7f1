package messengers

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Enqueue is one message to a peer, from the send to its outcome. It holds the credit for
// its body. It ends in exactly one outcome, whatever happens: reply receives Sent, or
// done is called. [Messaging.SendFrom], [Messaging.SendUnique], [Messaging.SendLent],
// [Messaging.Enqueue] and [Messaging.Send] make it.
type Enqueue struct {
	id      uint64 // with reply: the sender's number, repeated in Sent; with done: the serial for Withdraw
	body    []byte
	reply   *actor.PID             // receives Sent; or
	done    func(protocol.Outcome) // … this is called, and must not block
	room    *Room
	account *outAccount
	began   int64 // when it was given to the node, in nanoseconds of its clock since 1970; 0: it is not timed
	peer    identity.NodeID
	resend  bool
	unique  bool // no other sender uses this id, so the sender may withdraw the message by it
	ours    bool // reply was spawned by package supervisor, so it accepts a Bundle
	lent    bool // the sender has the credit, and keeps it
	counts  bool // it is a message of the program
	settled atomic.Bool
}

func (m *Enqueue) entry() messaging.Entry[*Enqueue] {
	return messaging.Entry[*Enqueue]{ID: m.serial(), Body: m.body, Resend: m.resend, Urgent: m.done != nil, Tag: m}
}

// Messenger is a peer's messaging session in the directory.
type Messenger struct {
	PID      *actor.PID
	account  *outAccount
	handling *credit.Account // of the peer's messages
}

// settle returns the credit and reports the outcome. Only the first call counts.
func (m *Enqueue) settle(o protocol.Outcome) {
	if !m.settled.CompareAndSwap(false, true) {
		return
	}
	if m.account != nil {
		m.account.Return(len(m.body))
	}
	if m.counts {
		m.room.Ended(m.peer, o)
		m.timed(o.Kind, m.room.Now)
	}
	m.told(o)
	m.tell(o)
}

// told shows the outcome to those who trace the peer.
func (m *Enqueue) told(o protocol.Outcome) {
	if t := &m.room.Taps; t.Open() {
		t.Put(taps.Event{At: m.room.Now(), What: "ended", Peer: m.peer, ID: m.id, Size: len(m.body), Note: o.String()})
	}
}

// timed counts how long a message took that is confirmed.
func (m *Enqueue) timed(k protocol.OutcomeKind, now func() time.Time) {
	if k == protocol.Confirmed && m.began != 0 {
		m.room.ended.took.Add(time.Duration(now().UnixNano() - m.began))
	}
}

// maxOutcomes is the greatest number of outcomes that are sent in one Bundle.
const maxOutcomes = 64

// settleAll settles several messages and returns their credit together. It collects
// the outcomes in bundle, which is empty before and after.
func settleAll(all []messaging.Settled[*Enqueue], bundle *supervisor.Bundle) {
	var account *outAccount
	var cost int64
	var counted Ended
	var room *Room
	var now time.Time // read once
	clock := func() time.Time {
		if now.IsZero() {
			now = room.Now()
		}
		return now
	}
	for i := range all {
		m := all[i].Tag
		if !m.settled.CompareAndSwap(false, true) {
			all[i].Tag = nil
			continue
		}
		m.told(all[i].Outcome)
		if m.counts {
			room = m.room
			counted.count(all[i].Outcome.Kind)
			room.ended.because(all[i].Outcome)
			if all[i].Outcome.Kind == protocol.InDoubt {
				room.ended.doubted(clock(), m.peer)
			}
			m.timed(all[i].Outcome.Kind, clock)
		}
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
	if room != nil {
		room.ended.add(clock(), counted)
	}
	var last *Enqueue // the message of the last outcome in bundle, if there is one
	flush := func() {
		if len(*bundle) > 0 {
			last.room.System.Root.Send(last.reply, bundle)
			clear(*bundle)
			*bundle = (*bundle)[:0]
		}
	}
	for i := range all {
		m := all[i].Tag
		if m == nil {
			continue
		}
		if last != nil && (last.reply != m.reply || !m.ours) || len(*bundle) == maxOutcomes {
			flush()
		}
		if last = m; m.ours {
			*bundle = append(*bundle, m.sent(all[i].Outcome))
		} else {
			m.tell(all[i].Outcome)
		}
	}
	flush()
}

// tell reports the outcome to the sender of the message.
func (m *Enqueue) tell(o protocol.Outcome) {
	switch {
	case m.done != nil:
		m.done(o)
	case m.reply != nil:
		m.room.System.Root.Send(m.reply, m.sent(o))
	}
}

func (m *Enqueue) sent(o protocol.Outcome) actors.Sent {
	return actors.Sent{ID: m.id, Peer: m.peer, Outcome: o}
}

// serial returns the number of the message for Withdraw; 0: it cannot be withdrawn.
func (m *Enqueue) serial() uint64 {
	if m.done == nil && !m.unique {
		return 0
	}
	return m.id
}

// messengers is the actor of one messaging protocol. It has one session for each
// peer with traffic, and passes that peer's messages and substreams to it.
//
// In: SubstreamOpened, attend, SendBody, withdraw, retired, returned. Out: SubstreamOpened,
// withdraw, to the sessions. A restart loses the sessions; the messages of their peers end
// InDoubt or Failed.
type messengers struct {
	room     *Room
	protocol *Messaging
	leaving  map[identity.NodeID]*heldBack // peers whose sessions are stopping
	draining *supervisor.Draining
}

// heldBack has the messages for a peer whose session is stopping. They wait until the
// session's name is free.
type heldBack struct {
	returned []any // sent back by the session, which received them directly; older than waiting
	waiting  []any
}

// NewMessengers makes the actor of a messaging protocol.
func NewMessengers(m *Messaging) actor.Actor {
	return &messengers{room: m.room, protocol: m, leaving: make(map[identity.NodeID]*heldBack)}
}

type (
	// attend asks for a session, because the peer's queue has messages and the peer has no
	// session.
	attend struct {
		peer    identity.NodeID
		account *outAccount
	}
	// retired reports that a session is idle and accepts no more messages.
	retired struct {
		peer    identity.NodeID
		session *actor.PID
	}
	// returned sends back a message that reached a retired session.
	returned struct {
		peer identity.NodeID
		msg  any
	}
	// stopRetired stops a retired session after retireGrace. The pause is for senders
	// that have found the session in the directory and have not sent to it yet.
	stopRetired struct{ peer identity.NodeID }
)

// Discard settles the messages in the queue: nobody will start a session for them.
func (m attend) Discard() { m.account.fail() }

// fail settles the messages in the queue that no writer has taken as failed.
func (a *outAccount) fail() {
	for q := a.queue.next(); q != nil; q = a.queue.next() {
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: actors.ErrClosing})
	}
}

// Discard discards the message inside, which no session will handle.
func (m returned) Discard() {
	if d, ok := m.msg.(supervisor.Discarder); ok {
		d.Discard()
	}
}

const retireGrace = 50 * time.Millisecond

func (a *messengers) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.OwnFunc(c, a.clear) // the directory must not list sessions of an ended incarnation
		for peer, account := range a.protocol.accounts.all() {
			a.attend(c, attend{peer, account}) // messages have come since
		}
	case attend:
		a.attend(c, m)
	case SendBody:
		a.protocol.Enqueue(m, c.Sender())
	case actors.SubstreamOpened:
		a.pass(c, m.Peer, m)
	case withdraw:
		a.withdraw(c, m)
	case retired:
		a.retired(c, m)
	case returned:
		if w, ok := m.msg.(withdraw); ok {
			a.withdraw(c, w)
		} else if h, ok := a.leaving[m.peer]; ok {
			h.returned = append(h.returned, m.msg)
		} else {
			a.pass(c, m.peer, m.msg)
		}
	case stopRetired:
		if _, ok := a.leaving[m.peer]; ok { // otherwise the session has crashed
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

// retired lets a session go. One that has crashed since is of no account: it may have a
// successor.
func (a *messengers) retired(c actor.Context, m retired) {
	if session, ok := a.protocol.Sessions.Get(m.peer); !ok || session.PID != m.session {
		return
	}
	a.leaving[m.peer] = &heldBack{}
	a.protocol.Sessions.Delete(m.peer)
	supervisor.After(c, retireGrace, stopRetired{m.peer})
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
	for peer, account := range a.protocol.accounts.all() {
		account.fail()
		a.protocol.accounts.drop(peer)
	}
}

func (a *messengers) sessionPID(c actor.Context, peer identity.NodeID) *actor.PID {
	return a.room.System.NewLocalPID(c.Self().Id + "/" + peer.String())
}

// attend starts a session for a peer whose queue has messages. If a session of the peer is
// stopping, terminated does it.
func (a *messengers) attend(c actor.Context, m attend) {
	_, leaving := a.leaving[m.peer]
	_, has := a.protocol.Sessions.Get(m.peer)
	switch {
	case has: // it takes the messages, also during a drain
	case a.draining != nil:
		m.Discard()
	case !leaving && m.account.queue.len() > 0:
		a.spawn(c, m.peer)
	}
}

// pass sends a message to the session of a peer, and starts a session if there is
// none. While the peer's session is stopping, the message waits. During a drain pass
// discards the message.
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
}

// withdraw passes a withdrawal to the session of the peer. If there is none, or it is
// stopping, the message is in the peer's queue, and no session takes it now: it ends at once.
func (a *messengers) withdraw(c actor.Context, m withdraw) {
	if session, ok := a.protocol.Sessions.Get(m.Peer); ok {
		c.Send(session.PID, m)
		return
	}
	a.protocol.accounts.withdraw(m.Peer, m.ID)
}

func (a *messengers) spawn(c actor.Context, peer identity.NodeID) Messenger {
	account, handling := a.protocol.accounts.pin(peer), a.protocol.handling(peer)
	pid := supervisor.Spawn(c, supervisor.Spec{
		Name: peer.String(), Kind: "messagingSession",
		New:    func() actor.Actor { return newSession(a.protocol, peer, account, handling) },
		Alarm:  a.room.sessionAlarm(),
		Drains: true,
	})
	session := Messenger{PID: pid, account: account, handling: handling}
	a.protocol.Sessions.Set(peer, session)
	return session
}

// terminated handles the end of a session, in order or by a crash. It passes the
// messages that have waited for this to a new session.
func (a *messengers) terminated(c actor.Context, who *actor.PID) {
	a.draining.Finished(c, who)
	peer, err := identity.ParseNodeID(base.NameOf(who))
	if err != nil {
		return
	}
	h, leaving := a.leaving[peer]
	delete(a.leaving, peer)
	if !leaving {
		a.protocol.Sessions.Delete(peer)
		h = &heldBack{}
	}
	a.protocol.accounts.unpin(peer)
	for _, m := range h.returned {
		a.pass(c, peer, m)
	}
	for _, m := range h.waiting {
		a.pass(c, peer, m)
	}
	if account, ok := a.protocol.accounts.waiting(peer); ok { // the session did not take them
		a.attend(c, attend{peer, account})
	}
}

// MessagesEnd is published when the node stops: from now on peers see nothing confirmed, and
// only messages are read that have arrived. So a receiver of plain messages accepts them even
// above its limits.
type MessagesEnd struct{}

// drain has all sessions finish what they have accepted.
func (a *messengers) drain(c actor.Context, m supervisor.Drain) {
	a.room.Silent.Store(true) // a node that fails stops without Close
	if a.protocol == a.room.Plain {
		supervisor.Publish(c, MessagesEnd{})
	}
	a.draining = supervisor.NewDraining(c.Sender())
	for _, session := range a.protocol.Sessions.All() {
		a.draining.Ask(c, session.PID, m)
	}
	a.draining.Finished(c, c.Self())
}

func (a *messengers) String() string { return fmt.Sprintf("%d sessions", a.protocol.Sessions.Len()) }
