package comms

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// channel is the way to a peer for this node's requests: first what leads to a substream,
// then the substream.
type channel struct {
	pipe
	account account
	key     identity.PublicKey
	route   kad.Address
	token   uint64 // of what was asked of the node; 0: nothing is
	again   bool   // the connection was lost once before there was a substream
	conn    uint64
	greets  bool // nothing tells yet that the peer serves others
}

// idleDue asks whether a channel is idle.
type idleDue struct{ name string }

// request sends a request, on a new substream if there is none.
func (l *link) request(c actor.Context, o *kad.Outgoing) error {
	key := o.To.PublicKey
	peer := key.NodeID()
	if err := l.n.trunk.Banned(peer); err != nil {
		return err
	}
	body, err := nativewire.AppendRequest(nil, &o.Message)
	if err != nil {
		return err
	}
	x := l.out[key]
	fresh := x == nil || x.over
	if fresh {
		x = &channel{key: key, route: routeOf(key)}
	}
	if !x.account.ask(l.n.trunk.Now()) {
		x.end(c, false) // it answers nothing
		return ErrBacklog
	}
	if err := x.add(body); err != nil {
		return err
	}
	l.port.Sent(len(body) + frame.HeaderLen)
	if fresh {
		if err := l.connect(c, x, &o.To); err != nil {
			return err
		}
		l.out[key] = x
	}
	x.flush(c, l.n.trunk.Now)
	return nil
}

// connect begins what leads to a substream.
func (l *link) connect(c actor.Context, x *channel, to *kad.Contact) error {
	peer := x.key.NodeID()
	if conn, ok := l.n.trunk.Connection(peer); ok {
		return l.open(c, x, conn)
	}
	if p, ok := l.addition(to); ok {
		if p.Claim == nil {
			l.n.trunk.AddGiven(l.expect(x), p, c.Self())
		} else {
			l.n.trunk.AddPeer(l.expect(x), p, c.Self())
		}
		return nil
	}
	return l.dial(c, x)
}

// addition returns a record of the contact for the peer store, and false if that knows at
// least as much.
func (l *link) addition(to *kad.Contact) (p peerstore.Peer, ok bool) {
	known, have := l.n.trunk.Store().ByKey(to.PublicKey)
	if to.Claim != nil {
		if have && known.Claim != nil && known.Claim.Signature.UpdatedAt >= to.Stamp {
			return p, false
		}
		return peerstore.FromClaim(*to.Claim, peerstore.AnotherPeer).HeardOver(l.n.home()), true
	}
	p = peerstore.Peer{Key: to.PublicKey, ID: to.PublicKey.NodeID(), Features: known.Features} // the user named it
	for _, a := range to.Addresses {
		m, err := address.Parse(string(a))
		if err == nil && !slices.ContainsFunc(known.Addresses, func(a peerstore.Address) bool { return a.Addr.Equal(m) }) {
			p.Addresses = append(p.Addresses, peerstore.Address{Addr: m, Source: peerstore.Config})
		}
	}
	return p, len(p.Addresses) > 0
}

// home returns an address of this node, or nil. A node that claims a loopback address knows
// only nodes of its own machine.
func (n *Network) home() ma.Multiaddr {
	if own, ok := n.trunk.Claim(); ok {
		if list := address.Select(own.Addresses, true); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// expect returns a token for something that is asked of the node for the channel.
func (l *link) expect(x *channel) uint64 {
	x.token = l.n.trunk.NewID()
	l.tokens[x.token] = x
	return x.token
}

// expected returns the channel that waits for the reply with this token. One that was given up
// meanwhile waits for nothing.
func (l *link) expected(token uint64) *channel {
	x := l.tokens[token]
	delete(l.tokens, token)
	switch {
	case x == nil || x.token != token:
		return nil
	case x.over:
		if l.out[x.key] == x {
			delete(l.out, x.key)
		}
		return nil
	}
	x.token = 0
	return x
}

func (l *link) peerAdded(c actor.Context, m peerbook.PeerAdded) {
	x := l.expected(m.Token)
	if x == nil {
		return
	}
	if m.Err != nil || l.dial(c, x) != nil {
		l.lose(c, x)
	}
}

func (l *link) dial(c actor.Context, x *channel) error {
	peer := x.key.NodeID()
	if err := l.n.trunk.Unreachable(peer); err != nil {
		return err
	}
	l.n.trunk.DialForStranger(l.expect(x), peer, c.Self(), "kad")
	return nil
}

func (l *link) dialled(c actor.Context, m dialling.PeerDialed) {
	x := l.expected(m.Token)
	if x == nil {
		return
	}
	if m.Err != nil || l.open(c, x, m.Conn) != nil {
		l.lose(c, x)
	}
}

// open asks for a substream, if the peer has the protocol.
func (l *link) open(c actor.Context, x *channel, conn *actors.ConnRef) error {
	if hint, ok := l.hints[x.key]; !conn.Accepts(l.n.id) && (!ok || hint != conn.ID) {
		return ErrNotListed
	}
	x.conn = conn.ID
	l.n.trunk.OpenSubstream(conn, l.expect(x), c.Self(), l.n.id)
	return nil
}

// greet opens substreams to peers that were connected before this client served others, and
// may have begun to serve others since: neither could list the protocol then. A peer that
// does not serve refuses. Only nodes of this library are greeted.
func (l *link) greet(c actor.Context) {
	var late []*actors.ConnRef
	for _, conn := range l.n.trunk.Connections().All() {
		hint, known := l.hints[conn.Key]
		if l.out[conn.Key] == nil && !conn.Accepts(l.n.id) && (!known || hint != conn.ID) && useragent.Ours(conn.UserAgent) {
			late = append(late, conn)
		}
	}
	slices.SortFunc(late, func(a, b *actors.ConnRef) int { return cmp.Compare(a.ID, b.ID) })
	for _, conn := range late[:min(len(late), maxListed)] {
		x := &channel{key: conn.Key, route: routeOf(conn.Key), conn: conn.ID, again: true, greets: true}
		l.out[conn.Key] = x
		l.n.trunk.OpenSubstream(conn, l.expect(x), c.Self(), l.n.id)
	}
}

func (l *link) failed(c actor.Context, m connections.SubstreamFailed) {
	x := l.expected(m.Token)
	if x == nil {
		return
	}
	if m.ConnectionLost && !x.again {
		x.again = true
		if l.connect(c, x, &kad.Contact{PublicKey: x.key}) == nil {
			return
		}
	}
	l.lose(c, x)
}

// substream begins to use a substream of this node's own.
func (l *link) substream(c actor.Context, m actors.SubstreamOpened) {
	x := l.expected(m.Token)
	if x == nil {
		return // its Handover resets it
	}
	stream, ok := m.Stream.Take()
	if !ok {
		l.lose(c, x)
		return
	}
	x.stream, x.name, x.conn = stream, l.nameOf("ask", x.key), m.Conn.ID
	if x.greets {
		l.hint(x.key, x.conn)
		l.port.ServerSeen(l.n.sender(x.key))
	}
	l.tasks[x.name] = x
	r := &answers{n: l.n, port: l.port, account: &x.account, key: x.key, source: actors.Origin{Peer: m.Peer, Conn: m.Conn.ID}, stream: stream}
	supervisor.Go(c, x.name, stream, r.read)
	supervisor.After(c, IdleAfter, idleDue{x.name})
	x.flush(c, l.n.trunk.Now)
}

// lose gives up a channel. What was asked on it is lost.
func (l *link) lose(c actor.Context, x *channel) {
	x.over = true
	if l.out[x.key] == x {
		delete(l.out, x.key)
		l.port.Closed(c, x.route)
	}
}

// idle closes a channel on which nothing was asked or answered for a minute.
func (l *link) idle(c actor.Context, m idleDue) {
	x, ok := l.tasks[m.name].(*channel)
	if !ok || x.over {
		return
	}
	if left := IdleAfter - x.account.idle(l.n.trunk.Now()); left > 0 {
		supervisor.After(c, left, m)
		return
	}
	x.end(c, !x.writing && len(x.waiting) == 0)
}

// answers reads the answers on a substream, in a task.
type answers struct {
	n       *Network
	port    *kad.Port
	account *account
	key     identity.PublicKey
	source  actors.Origin
	stream  protocol.Stream
	self    *kad.Contact // what the peer says of itself
}

func (r *answers) read(context.Context) error {
	frames := newFrames(r.stream, r.n.trunk.Now)
	defer frames.release()
	for {
		body, err := frames.next(0)
		if err != nil {
			return err
		}
		if err := r.answer(body); err != nil {
			return err
		}
	}
}

func (r *answers) answer(body []byte) error {
	m, err := nativewire.DecodeResponse(body)
	if err != nil {
		r.port.Malformed(routeOf(r.key), err)
		return violation(err)
	}
	if !r.account.answered(r.n.trunk.Now()) {
		return violation(errUnasked)
	}
	own(&m)
	if m.Self != nil {
		switch {
		case m.Self.PublicKey != r.key:
			return violation(errOtherKey)
		case m.Self.Verify(r.n.trunk.Wall()) != nil:
			m.Self = nil
		default:
			r.self = m.Self
		}
	}
	from := r.n.sender(r.key)
	if r.self != nil && r.self.Stamp >= from.Stamp {
		from = *r.self
	}
	r.port.Deliver(kad.Incoming{
		Packet: overlay.Packet{Address: routeOf(r.key), PublicKey: r.key, Message: m, Size: len(body) + frame.HeaderLen},
		From:   from, Source: r.source,
	})
	return nil
}

// frames reads frames, each in the time that it may take.
type frames struct {
	stream protocol.Stream
	reader *frame.Reader
	now    func() time.Time
}

func newFrames(s protocol.Stream, now func() time.Time) *frames {
	return &frames{stream: s, reader: frame.NewReader(s, nativewire.MaxFrame), now: now}
}

// next returns the next frame that is not empty. idle is how long it may take to begin; 0
// stands for any time.
func (f *frames) next(idle time.Duration) ([]byte, error) {
	for {
		if err := f.deadline(idle); err != nil {
			return nil, err
		}
		n, err := f.reader.Next()
		if err != nil {
			return nil, oversized(err)
		}
		if n == 0 {
			continue
		}
		if n > f.reader.Buffered() {
			if err := f.deadline(allowed(n)); err != nil {
				return nil, err
			}
		}
		body := make([]byte, n)
		if err := f.reader.Body(body); err != nil {
			return nil, err
		}
		return body, nil
	}
}

func (f *frames) deadline(after time.Duration) error {
	if after == 0 {
		return f.stream.SetReadDeadline(time.Time{})
	}
	return f.stream.SetReadDeadline(f.now().Add(after))
}

func (f *frames) release() { f.reader.Release() }
