package actors

import (
	"context"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Messaging is one protocol of messages between neighbours. A node has
// [Node.Plain] and, with the DHT, [Trunk.Frames]. All its methods may be called from
// any goroutine.
type Messaging struct {
	// ID is the id of the protocol on the wire, PID the protocol's actor.
	ID  protocol.ID
	PID *actor.PID
	// Sessions is the directory of the protocol's sessions. Its actor writes it.
	Sessions view.Map[identity.NodeID, Messenger]
	// Handler is the user's actor that receives [Received]. While there is none,
	// readers wait for one. A nil PID means that the actor was stopped by its panic
	// policy: then the peers' substreams end. The actor extensions writes it. It stays
	// closed where a part receives frames.
	Handler view.Gate[*actor.PID]

	env      *env
	by       string // name of its dials in the list of attempts
	accounts accounts
	receiver Receiver
}

func newMessaging(e *env, id protocol.ID, pid *actor.PID, by string) *Messaging {
	m := &Messaging{ID: id, PID: pid, env: e, by: by}
	m.accounts.env = e
	m.receiver = plainReceiver{m}
	return m
}

// frames reports whether this carries the frames of a part.
func (m *Messaging) frames() bool { return m == m.env.Frames }

// messagings returns the messaging protocols of the node.
func (e *env) messagings() []*Messaging {
	all := make([]*Messaging, 0, 2)
	for _, m := range []*Messaging{e.Frames, e.Plain} {
		if m != nil {
			all = append(all, m)
		}
	}
	return all
}

// SendFrom sends a message on behalf of the actor whose turn c is; this actor receives
// Sent. In all else SendFrom works as Enqueue.
func (m *Messaging) SendFrom(c actor.Context, b SendBody) {
	q := m.env.newEnqueue(b, c.Self())
	q.ours = supervisor.Spawned(c)
	m.accept(q)
}

// SendUnique is SendFrom for an actor of the node's own that may withdraw its messages. No
// other sender may use the same ids on this protocol.
func (m *Messaging) SendUnique(c actor.Context, b SendBody) {
	q := m.env.newEnqueue(b, c.Self())
	q.ours, q.unique = true, true
	m.accept(q)
}

// Enqueue sends a message on behalf of an actor, straight to the peer's
// session. It never waits: without credit the outcome is Failed(overloaded).
// reply receives Sent.
func (m *Messaging) Enqueue(b SendBody, reply *actor.PID) { m.accept(m.env.newEnqueue(b, reply)) }

func (m *Messaging) accept(q *Enqueue) {
	if len(q.body) > m.env.Profile.Limits.MessageBody {
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong})
		return
	}
	session, ok := m.Sessions.Get(q.peer)
	if !ok {
		if q.refused() {
			return
		}
		session.account = m.accounts.of(q.peer)
	}
	if q.account = session.account; q.account.TryTake(len(q.body)) {
		m.pass(q, session.PID)
		return
	}
	q.account = nil
	m.accounts.drop(q.peer)
	q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Overloaded})
}

// Send sends a message on behalf of a caller outside the tree of actors. It waits for
// credit until ctx ends. When ctx ends first, Send returns ctx's error and the message is
// not accepted. Otherwise done is called exactly once, perhaps before Send returns; it
// must not block. The serial is for Withdraw.
func (m *Messaging) Send(ctx context.Context, b SendBody, done func(protocol.Outcome)) (serial uint64, err error) {
	b.ID = m.env.NewID()
	q := m.env.newEnqueue(b, nil)
	q.done = done
	if len(b.Body) > m.env.Profile.Limits.MessageBody {
		q.settle(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong})
		return q.id, nil
	}
	session, ok := m.Sessions.Get(b.Peer)
	if !ok {
		if q.refused() {
			return q.id, nil
		}
		session.account = m.accounts.of(b.Peer)
	}
	account := session.account
	if !account.TryTake(len(b.Body)) { // without a wait the session is still current
		if err := account.Take(ctx, len(b.Body)); err != nil {
			m.accounts.drop(b.Peer)
			return 0, err
		}
		session, _ = m.Sessions.Get(b.Peer)
	}
	q.account = account
	m.pass(q, session.PID)
	return q.id, nil
}

// refused settles a message as failed if its peer has no connection and cannot be dialled.
// It is called when the peer has no session and the message holds no credit yet.
func (m *Enqueue) refused() bool {
	err := m.env.unreachable(m.peer)
	if err == nil {
		return false
	}
	m.settle(protocol.Outcome{Kind: protocol.Failed, Reason: dialReason(err), Err: err})
	return true
}

// pass sends a message, which holds its credit, to the peer's session. If there is no
// session yet, or an earlier message to the peer is still on its way through the
// protocol's actor, the message goes through that actor as well.
func (m *Messaging) pass(q *Enqueue, session *actor.PID) {
	if session != nil && q.account.detour.Load() == 0 {
		q.direct = m
		m.env.System.Root.Send(session, q)
		return
	}
	m.passAround(q)
}

// passAround sends a message to the protocol's actor, which passes it to the session.
func (m *Messaging) passAround(q *Enqueue) {
	q.direct = nil
	q.detour.Store(true)
	q.account.detour.Add(1)
	m.env.System.Root.Send(m.PID, q)
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
	m.env.System.Root.Send(m.PID, withdraw{serial, peer})
}

func (e *env) newEnqueue(m SendBody, reply *actor.PID) *Enqueue {
	return &Enqueue{
		id: m.ID, peer: m.Peer, body: m.Body, resend: m.Resend,
		reply: reply, env: e,
	}
}

// movingWriter records in the peer's account when bytes were last written.
type movingWriter struct {
	io.Writer
	env     *env
	account *outAccount
}

// Write writes b, and records the time if bytes were written.
func (w movingWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if n > 0 && w.account != nil {
		w.account.moved.Store(w.env.Now().UnixNano())
	}
	return n, err
}
