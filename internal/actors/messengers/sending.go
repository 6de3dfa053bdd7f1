package messengers

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Messaging is one protocol of messages between neighbours. A node has
// [Room.Plain] and, with the DHT, [Room.Frames]. All its methods may be called from
// any goroutine.
type Messaging struct {
	// ID is the id of the protocol on the wire, PID the protocol's actor.
	ID  protocol.ID
	PID *actor.PID
	// Sessions is the directory of the protocol's sessions. Its actor writes it.
	Sessions view.Map[identity.NodeID, Messenger]
	// Handler is the user's actor that receives [actors.Received]. While there is none,
	// readers wait for one. A nil PID means that the actor was stopped by its panic
	// policy: then the peers' substreams end. The actor extensions writes it. It stays
	// closed where a part receives frames.
	Handler view.Gate[*actor.PID]

	room            *Room
	by              string // name of its dials in the list of attempts
	ours            bool   // only nodes of this library speak it
	whole, arriving *credit.Budget
	accounts        accounts
	receiver        Receiver
	dropped         losses
	traffic         traffic
}

// Dropped returns which messages came, and may be confirmed to their senders, and were handled
// by no actor: the handler had ended, or the node stopped before it got them.
func (m *Messaging) Dropped() map[identity.NodeID]Loss { return m.dropped.all() }

// Lost counts a message of a peer that no handler has finished, if the node stops. Before the
// stop it does nothing: then the receiver's own counts tell.
func (m *Messaging) Lost(peer identity.NodeID, bytes int) {
	if m.room.Silent.Load() {
		m.Drop(peer, bytes)
	}
}

// Drop counts a message of a peer that is confirmed, perhaps, and that no handler has finished.
func (m *Messaging) Drop(peer identity.NodeID, bytes int) { m.dropped.add(peer, 1, bytes) }

// Loss counts messages of one peer that nobody has handled, and the bytes of their bodies.
type Loss struct{ Messages, Bytes uint64 }

// losses has the messages of each peer that nobody has handled.
type losses struct {
	mu sync.Mutex
	of map[identity.NodeID]Loss
}

// lossPeers bounds the peers that are told apart; those of further ones count for the zero id.
const lossPeers = 1024

func (l *losses) add(peer identity.NodeID, messages, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	loss, ok := l.of[peer]
	switch {
	case l.of == nil:
		l.of = make(map[identity.NodeID]Loss)
	case !ok && len(l.of) >= lossPeers:
		peer = identity.NodeID{}
		loss = l.of[peer]
	}
	l.of[peer] = Loss{loss.Messages + uint64(messages), loss.Bytes + uint64(bytes)}
}

func (l *losses) all() map[identity.NodeID]Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.of)
}

func newMessaging(r *Room, id protocol.ID, pid *actor.PID, by string) *Messaging {
	m := &Messaging{ID: id, PID: pid, room: r, by: by, whole: r.Budgets.Plain, arriving: r.Budgets.Messages}
	m.accounts.room = r
	m.receiver = plainReceiver{m}
	return m
}

// newOurs returns a Messaging that only nodes of this library speak.
func newOurs(r *Room, id protocol.ID, pid *actor.PID) *Messaging {
	m := newMessaging(r, id, pid, "messaging")
	m.ours = true
	return m
}

// control has it draw on the budgets of what no handler holds.
func (m *Messaging) control() *Messaging {
	m.whole, m.arriving = m.room.Budgets.Inbound, m.room.Budgets.Frames
	return m
}

// frames reports whether this carries the frames of the DHT.
func (m *Messaging) frames() bool { return m == m.room.Frames }

// SendFrom sends a message on behalf of the actor whose turn c is; this actor receives
// Sent. In all else SendFrom works as Enqueue.
func (m *Messaging) SendFrom(c actor.Context, b SendBody) {
	q := m.room.newEnqueue(b, c.Self())
	q.ours, q.counts = supervisor.Spawned(c), m == m.room.Plain
	m.accept(q)
}

// SendUnique is SendFrom for an actor of the node's own that may withdraw its messages. No
// other sender may use the same ids on this protocol.
func (m *Messaging) SendUnique(c actor.Context, b SendBody) {
	q := m.room.newEnqueue(b, c.Self())
	q.ours, q.unique = true, true
	m.accept(q)
}

// Enqueue sends a message on behalf of an actor, straight to the peer's
// session. It never waits: without credit the outcome is Failed(overloaded).
// reply receives Sent.
func (m *Messaging) Enqueue(b SendBody, reply *actor.PID) {
	q := m.room.newEnqueue(b, reply)
	q.counts = m == m.room.Plain
	m.accept(q)
}

// SendLent is SendUnique for a message whose credit the sender has from [Messaging.Borrow] and keeps.
func (m *Messaging) SendLent(c actor.Context, b SendBody) {
	q := m.room.newEnqueue(b, c.Self())
	q.ours, q.unique, q.lent = true, true, true
	m.accept(q)
}

// TryBorrow is Borrow for a caller that must not wait.
func (m *Messaging) TryBorrow(peer identity.NodeID, n int) (giveBack func(), ok bool) {
	account := m.accounts.of(peer)
	if !account.TryTake(n) {
		m.accounts.drop(peer)
		return nil, false
	}
	return m.lend(account, peer, n), true
}

// Borrow takes credit for messages of n bytes to a peer, and waits for it until ctx ends. It is for a
// sender that keeps a message beyond its outcome; give back ends that, and may be called once.
func (m *Messaging) Borrow(ctx context.Context, peer identity.NodeID, n int) (giveBack func(), err error) {
	account := m.accounts.of(peer)
	if err := account.Take(ctx, n); err != nil {
		m.accounts.drop(peer)
		return nil, err
	}
	return m.lend(account, peer, n), nil
}

func (m *Messaging) lend(account *outAccount, peer identity.NodeID, n int) (giveBack func()) {
	return func() {
		if account.Return(n); account.Used() == 0 {
			m.accounts.drop(peer)
		}
	}
}

func (m *Messaging) accept(q *Enqueue) {
	if m.tooLong(q) {
		return
	}
	if t := &m.room.Taps; t.Open() {
		t.Put(taps.Event{At: m.room.Now(), What: "queued", Kind: string(m.ID), Peer: q.peer, ID: q.id, Size: len(q.body)})
	}
	for {
		account, ok := m.accountFor(q)
		switch {
		case !ok:
			return
		case !q.lent && !account.TryTake(len(q.body)):
			m.accounts.drop(q.peer)
			q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Overloaded})
			return
		case m.push(q, account):
			return
		}
	}
}

// tooLong settles a message as failed if its body is above the limit.
// MaxBody is the longest body of a message.
func (m *Messaging) MaxBody() int { return m.room.Profile.Limits.MessageBody }

func (m *Messaging) tooLong(q *Enqueue) bool {
	if len(q.body) <= m.MaxBody() {
		return false
	}
	q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong})
	return true
}

// accountFor returns the account of the message's peer. It returns false if the message has
// failed, because the peer has no connection and cannot be dialled.
func (m *Messaging) accountFor(q *Enqueue) (*outAccount, bool) {
	if session, ok := m.Sessions.Get(q.peer); ok {
		return session.account, true
	}
	if q.refused() {
		return nil, false
	}
	return m.accounts.of(q.peer), true
}

// Send sends a message on behalf of a caller outside the tree of actors. It waits for
// credit until ctx ends. When ctx ends first, Send returns ctx's error and the message is
// not accepted. Otherwise done is called exactly once, perhaps before Send returns; it
// must not block. The serial is for Withdraw.
func (m *Messaging) Send(ctx context.Context, b SendBody, done func(protocol.Outcome)) (serial uint64, err error) {
	b.ID = m.room.NewID()
	q := m.room.newEnqueue(b, nil)
	q.done = done
	if q.counts = m == m.room.Plain; q.counts {
		q.began = m.room.Now().UnixNano()
	}
	if m.tooLong(q) {
		return q.id, nil
	}
	for {
		account, ok := m.accountFor(q)
		if !ok {
			return q.id, nil
		}
		if err := account.Take(ctx, len(b.Body)); err != nil {
			m.accounts.drop(b.Peer)
			return 0, err
		}
		if m.push(q, account) {
			return q.id, nil
		}
	}
}

// refused settles a message as failed if its peer has no connection and cannot be dialled.
// It is called when the peer has no session and the message holds no credit yet.
func (m *Enqueue) refused() bool {
	err := m.room.needs.Unreachable(m.peer)
	if err == nil {
		return false
	}
	m.settle(protocol.Outcome{Kind: protocol.Failed, Reason: dialReason(err), Err: err})
	return true
}

// push adds a message, for which credit of the account was taken, to the queue of its peer.
// It returns false, and the credit, if the account was dropped in the meantime: then the
// peer has another one.
func (m *Messaging) push(q *Enqueue, account *outAccount) bool {
	if !q.lent {
		q.account = account
	}
	wanted := attend{q.peer, account}
	switch done, session := account.queue.push(q); done {
	case pushGone:
		if !q.lent {
			q.account = nil
			account.Return(len(q.body))
		}
		return false
	case pushRefused:
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: actors.ErrClosing})
	case pushedFirst:
		m.room.System.Root.Send(session, takeQueued{m, wanted})
	case pushedAlone:
		m.room.System.Root.Send(m.PID, wanted)
	}
	return true
}

// Moved returns when the peer's session last wrote bytes to its substream. It returns the
// zero time if there is no session, or it has written nothing.
func (m *Messaging) Moved(peer identity.NodeID) time.Time {
	if s, ok := m.Sessions.Get(peer); ok && s.account != nil {
		if at := s.account.moved.Load(); at != 0 {
			return time.Unix(0, at)
		}
	}
	return time.Time{}
}

// Withdraw tells the session that the sender of a message no longer waits. A message that
// was not written yet fails; a written one is in doubt.
func (m *Messaging) Withdraw(peer identity.NodeID, serial uint64) {
	m.room.System.Root.Send(m.PID, withdraw{ID: serial, Peer: peer, protocol: m})
}

func (r *Room) newEnqueue(m SendBody, reply *actor.PID) *Enqueue {
	return &Enqueue{
		id: m.ID, peer: m.Peer, body: m.Body, resend: m.Resend,
		reply: reply, room: r,
	}
}

// NewSession makes the actor that carries the messages of this protocol from and
// to one peer.
func (m *Messaging) NewSession(peer identity.NodeID) actor.Actor {
	return newSession(m, peer, m.accounts.pin(peer), m.handling(peer))
}
