package comms

import (
	"context"
	"errors"
	"os"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// serving is the substream on which a peer asks.
type serving struct {
	pipe
	key    identity.PublicKey
	conn   uint64
	number uint64 // of the substream
	shared *shared
}

// shared is what the actor and the reading task of a substream share.
type shared struct {
	self    atomic.Bool // the next answer says where this node is
	refused atomic.Int32
}

// refused is a request that the reading task cannot hand over. Its answer says why.
type refused struct {
	key    identity.PublicKey
	number uint64 // of its substream
	id     overlay.RequestID
	status overlay.Status
	detail string
	source actors.Origin
	shared *shared
	done   atomic.Bool
}

// Source names the peer.
func (r *refused) Source() supervisor.Source { return r.source }

// Finish makes room for another one.
func (r *refused) Finish() {
	if r.done.CompareAndSwap(false, true) {
		r.shared.refused.Add(-1)
	}
}

// Discard makes room for another one.
func (r *refused) Discard() { r.Finish() }

// hinted says that a peer serves others, although its identity message did not say so.
type hinted struct {
	key    identity.PublicKey
	conn   uint64
	source actors.Origin
}

// Source names the peer.
func (h hinted) Source() supervisor.Source { return h.source }

// accept takes a substream that a peer has opened. It replaces an earlier one of the peer.
func (l *link) accept(c actor.Context, m actors.SubstreamOpened) {
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	if old := l.in[m.Key]; old != nil {
		old.end(c, false)
	}
	x := &serving{key: m.Key, conn: m.Conn.ID, shared: new(shared)}
	x.stream, x.name = stream, l.nameOf("serve", m.Key)
	x.number = l.n.trunk.NewID() // also after a restart no other has it
	x.shared.self.Store(true)
	l.in[m.Key] = x
	l.tasks[x.name] = x
	r := &requests{
		n: l.n, port: l.port, key: m.Key, source: actors.Origin{Peer: m.Peer, Conn: m.Conn.ID}, group: groupOf(m.Conn), stream: stream, shared: x.shared,
		number: x.number, listed: m.Conn.Accepts(l.n.id),
	}
	supervisor.Go(c, x.name, stream, r.read)
}

// answer sends an answer on the substream of its request. On a later one the answer would be an
// offence of this node.
func (l *link) answer(c actor.Context, o *kad.Outgoing) error {
	x := l.in[o.PublicKey]
	if x == nil || x.over || x.number != o.Substream {
		return ErrGone
	}
	m := o.Message
	if x.shared.self.Swap(false) {
		if self, ok := l.n.self(); ok {
			m.Self = &self
		}
	}
	body, err := nativewire.AppendResponse(nil, &m)
	if err != nil {
		return err
	}
	if err := x.add(body); err != nil {
		return err
	}
	l.port.Sent(len(body) + frame.HeaderLen)
	x.flush(c, l.n.trunk.Now)
	return nil
}

// refused answers a request that was not handed over.
func (l *link) refused(c actor.Context, m *refused) {
	o := kad.Outgoing{Answer: true, Packet: overlay.Packet{PublicKey: m.key, Substream: m.number, Message: overlay.Message{
		Verb: overlay.Reply, ID: m.id, Status: m.status, Detail: m.detail,
	}}}
	if err := l.answer(c, &o); err != nil {
		supervisor.Log(c).Debug("kad answer not sent", "peer", m.key.NodeID(), "err", err)
	}
}

// requests reads the requests on a substream, in a task.
type requests struct {
	n      *Network
	port   *kad.Port
	key    identity.PublicKey
	source actors.Origin
	group  string
	stream protocol.Stream
	shared *shared
	number uint64 // of the substream
	listed bool   // it is known that the peer serves others
	unread int    // refusals in a row that the peer did not read
}

func (r *requests) read(context.Context) error {
	frames := newFrames(r.stream, r.n.trunk.Now)
	defer frames.release()
	for {
		body, err := frames.next(idleBeside)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return r.stream.CloseWrite()
		}
		if err != nil {
			return err
		}
		if err := r.request(body); err != nil {
			return err
		}
	}
}

func (r *requests) request(body []byte) error {
	m, err := nativewire.DecodeRequest(body)
	if err != nil {
		status, ok := nativewire.StatusOf(err)
		r.port.Malformed(routeOf(r.key), err)
		if !ok {
			return violation(err)
		}
		return r.refuse(m.ID, status, err.Error())
	}
	own(&m)
	if !m.ReadOnly && !r.listed {
		r.listed = true
		r.port.Tell(hinted{r.key, r.source.Conn, r.source})
	}
	if m.Verb == overlay.Ping {
		if self, ok := r.n.self(); ok && m.HaveSeq < uint64(self.Stamp) {
			r.shared.self.Store(true)
		}
	}
	if !r.port.Deliver(kad.Incoming{
		Packet: overlay.Packet{Address: routeOf(r.key), PublicKey: r.key, Message: m, Size: len(body) + frame.HeaderLen, Substream: r.number},
		From:   r.n.sender(r.key), Source: r.source, Group: r.group,
	}) {
		return r.refuse(m.ID, overlay.Busy, "")
	}
	return nil
}

// refuse has the actor answer, unless too many such answers wait. A peer that waits for
// answers, as the protocol wants, has at most [maxOwed] requests without one. So one that
// sends far more is an offender (spec: kad B10.4).
func (r *requests) refuse(id overlay.RequestID, s overlay.Status, detail string) error {
	if r.shared.refused.Add(1) > maxRefusals {
		r.shared.refused.Add(-1)
		if r.unread++; r.unread > maxUnread {
			return violation(errFlood)
		}
		return nil
	}
	r.unread = 0
	r.port.Tell(&refused{key: r.key, number: r.number, id: id, status: s, detail: detail, source: r.source, shared: r.shared})
	return nil
}

// oversized makes an offence of a frame that is too long.
func oversized(err error) error {
	if errors.Is(err, frame.ErrTooLong) {
		return violation(errors.Join(errOversized, err))
	}
	return err
}
