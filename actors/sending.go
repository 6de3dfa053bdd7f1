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
	// ID is what peers know the protocol by, PID its actor.
	ID  protocol.ID
	PID *actor.PID
	// Sessions is the directory of its sessions. Written by its actor.
	Sessions view.Map[identity.NodeID, Messenger]
	// Handler hears [Received]; without one nothing is read, and nil says that its
	// panic policy has stopped it: then substreams end. Written by extensions. It
	// stays closed where a part receives frames.
	Handler view.Gate[*actor.PID]

	env      *env
	by       string // who asks for its dials
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

// messagings are the messaging protocols of the node.
func (e *env) messagings() []*Messaging {
	all := make([]*Messaging, 0, 2)
	for _, m := range []*Messaging{e.Frames, e.Plain} {
		if m != nil {
			all = append(all, m)
		}
	}
	return all
}

// SendFrom sends a message on behalf of an actor in its turn, which hears Sent.
// It is otherwise as Enqueue.
func (m *Messaging) SendFrom(c actor.Context, b SendBody) {
	q := m.env.newEnqueue(b, c.Self())
	q.ours = supervisor.Spawned(c)
	m.accept(q)
}

// SendUnique is SendFrom for an actor of the node's own whose numbers nobody else
// uses on this protocol: it may withdraw the message.
func (m *Messaging) SendUnique(c actor.Context, b SendBody) {
	q := m.env.newEnqueue(b, c.Self())
	q.ours, q.unique = true, true
	m.accept(q)
}

// Enqueue sends a message on behalf of an actor, straight to the peer's
// session. It never waits: without credit the outcome is Failed(overloaded).
// reply hears Sent.
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

// Send sends a message on behalf of a caller outside the tree. It waits for
// credit until ctx ends; the error is ctx's then, and the message was not
// accepted. After that done is called exactly once; it must not block. The
// serial is for Withdraw.
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
	if !account.TryTake(len(b.Body)) { // else the session is still as new as need be
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

// refused settles a message at once that is for a peer without a session, a
// connection and an address to dial. It holds no credit yet.
func (m *Enqueue) refused() bool {
	err := m.env.unreachable(m.peer)
	if err == nil {
		return false
	}
	m.settle(protocol.Outcome{Kind: protocol.Failed, Reason: dialReason(err), Err: err})
	return true
}

// pass hands a message that holds its credit to the peer's session, or to the
// protocol's actor when there is none yet, or when an earlier message is still
// on that way.
func (m *Messaging) pass(q *Enqueue, session *actor.PID) {
	if session != nil && q.account.detour.Load() == 0 {
		q.direct = m
		m.env.System.Root.Send(session, q)
		return
	}
	m.passAround(q)
}

// passAround hands a message to the protocol's actor.
func (m *Messaging) passAround(q *Enqueue) {
	q.direct = nil
	q.detour.Store(true)
	q.account.detour.Add(1)
	m.env.System.Root.Send(m.PID, q)
}

// Moved returns when the peer's session last gave bytes to its substream, the
// zero time if it has not or there is none.
func (m *Messaging) Moved(peer identity.NodeID) time.Time {
	if s, ok := m.Sessions.Get(peer); ok && s.account != nil {
		if at := s.account.moved.Load(); at != 0 {
			return time.Unix(0, at)
		}
	}
	return time.Time{}
}

// Withdraw says that the sender of a message waits no longer. If it was not
// written yet it fails; else it is in doubt.
func (m *Messaging) Withdraw(peer identity.NodeID, serial uint64) {
	m.env.System.Root.Send(m.PID, withdraw{serial, peer})
}

func (e *env) newEnqueue(m SendBody, reply *actor.PID) *Enqueue {
	return &Enqueue{
		id: m.ID, peer: m.Peer, body: m.Body, resend: m.Resend,
		reply: reply, env: e,
	}
}

// movingWriter notes when bytes have gone to a peer.
type movingWriter struct {
	io.Writer
	env     *env
	account *outAccount
}

// Write writes, and notes when that ended.
func (w movingWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if n > 0 && w.account != nil {
		w.account.moved.Store(w.env.Now().UnixNano())
	}
	return n, err
}
