package dht

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Outbound is the way of our own messages, and of those passed on for others, to
// the messaging sessions of peers: it selects peers, seals and signs once for
// all copies, paces what goes to nodes that would take more for a flood, and
// tries a copy that is in doubt again when its peer is back. Every send ends,
// with an outcome for each copy, within its limit (spec: dht 1.4, 5).
//
// It is a machine: it waits for nothing and does nothing but by its effects.
type Outbound struct {
	o      OutboundOptions
	choose *sendChain
	write  *sendChain

	sends    map[uint64]*send
	relaying map[*send]struct{}  // what is passed on
	passing  *send               // … in this call of Relay
	given    map[uint64]*copyOut // under way in a messaging session
	peers    map[identity.NodeID]*outPeer
	wakes    wakes
	woken    time.Time // the time last said
	order    uint64    // of the last copy
	copies   int       // without an outcome
	relays   int       // … of what is passed on
	closing  bool
	sweep    wake // when to forget peers that nothing is known of
	counts   OutboundCounts
	fx       OutboundEffects
}

// OutboundOptions are what the chain needs to know.
type OutboundOptions struct {
	Secret   *identity.Secret
	Selector Selector
	View     View // of the peers, read for each message anew
	Dedup    *Dedup
	Rand     *rand.Rand
	Random   io.Reader // for keys and nonces
	// NewID makes numbers that are unique in the node's life.
	NewID func() uint64
	// Paced reports whether a peer counts what it gets; Pace is what it may get
	// in [PaceWithin]. 0 is [DefaultPace].
	Paced func(identity.NodeID) bool
	Pace  int
	// RelayLimit is how many messages of others any peer gets in 60 s. 0 is
	// [RelayLimit].
	RelayLimit int
	// RelayedTo is how many bytes for others may wait for one peer. 0 is
	// [RelayedTo].
	RelayedTo int64
	// Moved returns when a peer's session last gave bytes to its connection; nil
	// is a session of which nobody knows.
	Moved func(identity.NodeID) time.Time
	// Unreached remembers what did not reach all; nil remembers nothing.
	Unreached *Unreached
	// Paces is what the machine before this one has left; nil for the first.
	Paces Paces
	// Window is how many bytes, frames and 256 for each, are given to one peer's
	// session before the first has its outcome; one frame always may. 0 is 512
	// KiB.
	Window int64
	// MaxFrame is how long a message may be as it travels, in bytes. Longer ones
	// are not sendable. 0 is 8 MiB.
	MaxFrame int
	// Discovers reports whether anybody looks for unknown peers.
	Discovers func() bool
	Layers    map[SendPosition][]SendLayer // at each position the first is outermost
}

// Limits of an [Outbound].
const (
	DefaultPace = 900 // the strictest known release bans above 1,000
	PaceWithin  = time.Minute

	// MaxCopies is how many copies may be without an outcome, half of them of what
	// is passed on.
	MaxCopies = 1 << 16

	defaultWindow = 512 << 10
	defaultFrame  = 8 << 20
	frameOverhead = 256
	retryAfter    = 250 * time.Millisecond
	sweepEvery    = time.Minute
	keptEffects   = 1024 // of each kind, between two calls
)

// OutboundCounts is what became of all messages so far.
type OutboundCounts struct {
	Sends, Copies               uint64
	Confirmed, InDoubt, Failed  uint64 // copies of our own
	Relays, RelayCopies         uint64 // of others
	RelaysNobody, RelaysDropped uint64 // nobody to pass it on to; no copy could be begun
	RelayConfirmed              uint64 // copies
	RelayFailed                 RelayFailures
	Tries, Resent               uint64
	Paced                       uint64 // copies that had to wait for the pace
}

// send is one send under way.
type send struct {
	id      uint64 // 0: passed on for somebody else
	m       Message
	until   time.Time
	early   time.Time // what is not written is taken back
	taken   bool      // … or was asked back
	frame   []byte
	copies  []*copyOut
	open    int
	ended   bool
	wake    wake
	relayed *relaying // with id 0
}

func newSend(id uint64, m Message, until time.Time) *send {
	s := &send{id: id, m: m, until: until, early: until}
	s.wake.send = s
	return s
}

// begin sets the time from which on what is not written is taken back. That
// leaves a session so long to say whether it was written.
func (s *send) begin(now time.Time) {
	left := s.until.Sub(now)
	s.early = s.until.Add(-min(time.Second, max(left/10, min(left/2, 100*time.Millisecond))))
}

func (s *send) relay() bool { return s.id == 0 }

// NewOutbound returns the machine.
func NewOutbound(o OutboundOptions) *Outbound {
	o.Pace = cmp.Or(o.Pace, DefaultPace)
	o.Window = cmp.Or(o.Window, defaultWindow)
	o.MaxFrame = cmp.Or(o.MaxFrame, defaultFrame)
	o.RelayLimit = cmp.Or(o.RelayLimit, RelayLimit)
	o.RelayedTo = cmp.Or(o.RelayedTo, RelayedTo)
	out := &Outbound{
		o: o, sends: make(map[uint64]*send), given: make(map[uint64]*copyOut), peers: make(map[identity.NodeID]*outPeer),
		relaying: make(map[*send]struct{}),
	}
	for id, before := range o.Paces {
		p := out.peer(id)
		p.pace, p.relayPace, p.rate = before.pace, before.relayPace, before.rate
	}
	out.choose = newSendChain(o.Layers, BeforeSelect, out.selectPeers)
	out.write = newSendChain(o.Layers, BeforeWrite, func(*Outgoing) error { return nil })
	return out
}

// Counts returns what became of all messages so far.
func (o *Outbound) Counts() OutboundCounts { return o.counts }

// Len returns how many sends and copies are under way.
func (o *Outbound) Len() (sends, copies int) { return len(o.sends), o.copies }

// Send takes a message of our own under an id that is not 0 and used once. Wall
// is the system's clock, from which the message gets the time when it expires.
func (o *Outbound) Send(now, wall time.Time, id uint64, m Message) *OutboundEffects {
	return o.SendUntil(now, wall, id, m, now.Add(m.For()))
}

// SendUntil is Send for a message that was accepted earlier and ends at until, a
// time of now.
func (o *Outbound) SendUntil(now, wall time.Time, id uint64, m Message, until time.Time) *OutboundEffects {
	o.begin()
	o.due(now)
	o.counts.Sends++
	s := newSend(id, m, until)
	o.sends[id] = s
	switch {
	case o.closing:
		o.end(s, SendClosed, nil)
	case !now.Before(until):
		o.end(s, SendExpired, nil)
	case o.copies >= MaxCopies:
		o.end(s, SendOverloaded, fmt.Errorf("dht: %d copies of messages have no outcome yet", o.copies))
	default:
		o.accept(now, wall, s)
	}
	return o.effects(now)
}

// accept selects peers, and sends the message unless it has to be looked for
// somebody first.
func (o *Outbound) accept(now, wall time.Time, s *send) {
	out, err := o.choose.run(&Outgoing{Now: now, Wall: wall, Message: s.m})
	s.m = out.Message
	switch {
	case errors.Is(err, ErrSelf):
		o.end(s, ToOurselves, err)
	case errors.Is(err, ErrNotSendable):
		o.end(s, NotSendable, err)
	case err != nil:
		o.end(s, SendStopped, err)
	case len(out.Peers) > 0:
		o.compose(now, wall, s, out.Peers)
	default:
		to, ok := s.m.To.(DirectKey)
		switch {
		case !ok || !to.Discover:
			o.end(s, NobodySelected, nobody(s.m.To, o.o.View))
		case !o.o.Discovers():
			o.end(s, DiscoveryFailed, errNoDiscovery)
		default:
			o.fx.Discover = append(o.fx.Discover, Discover{s.id, to.Key, s.until})
			o.wakes.put(&s.wake, s.until)
		}
	}
}

// selectPeers is the end of the layers before it.
func (o *Outbound) selectPeers(out *Outgoing) (err error) {
	switch to := out.To.(type) {
	case nil:
		return fmt.Errorf("%w: it does not say to whom; set To", ErrNotSendable)
	case Random:
		if to.N <= 0 {
			return fmt.Errorf("%w: Random.N is %d; set it to the number of nodes", ErrNotSendable, to.N)
		}
	case Selected:
		if len(to.Peers) == 0 {
			return fmt.Errorf("%w: Selected.Peers is empty; name at least one", ErrNotSendable)
		}
	case Direct, DirectKey, Flood, Closest, DirectOrClosest, Broadcast, Propagate:
	default:
		return fmt.Errorf("%w: To is %T; strategies are values", ErrNotSendable, out.To)
	}
	if out.Encrypt {
		switch d := destination(&out.Message); {
		case !d.Known || d.Key.IsZero():
			return fmt.Errorf("%w: encrypted for nobody; set Destination, or send it by key", ErrNotSendable)
		case d.Key == o.o.Selector.Key: // whoever passes it on would ban us for it (spec: dht 6)
			return fmt.Errorf("%w: encrypted for %s", ErrSelf, d.Key)
		}
	}
	out.Peers, err = o.o.Selector.Select(out.To, o.o.View, o.o.Rand)
	return err
}

// Discovered ends a search: the peer is known now, or err says why not.
func (o *Outbound) Discovered(now, wall time.Time, id uint64, peer identity.NodeID, err error) *OutboundEffects {
	o.begin()
	o.due(now)
	if s, ok := o.sends[id]; ok && len(s.copies) == 0 {
		if err != nil {
			o.end(s, DiscoveryFailed, err)
		} else {
			o.compose(now, wall, s, []identity.NodeID{peer})
		}
	}
	return o.effects(now)
}

// compose seals and signs the message once and gives each peer a copy.
func (o *Outbound) compose(now, wall time.Time, s *send, peers []identity.NodeID) {
	if n := len(s.m.Body); n > o.o.MaxFrame {
		o.end(s, NotSendable, tooLong(n, o.o.MaxFrame))
		return
	}
	d := o.draft(wall, &s.m)
	e, err := wire.Compose(d, o.o.Secret, o.o.Random)
	if err != nil {
		o.end(s, NotSendable, fmt.Errorf("%w: %w", ErrNotSendable, err))
		return
	}
	out, err := o.write.run(&Outgoing{Now: now, Wall: wall, Message: s.m, Peers: peers, Envelope: e})
	if err != nil {
		o.end(s, SendStopped, err)
		return
	}
	frame := out.Envelope.Append(nil)
	switch n := len(out.Peers); {
	case n == 0:
		o.end(s, NobodySelected, errTakenAway)
		return
	case o.copies+n > MaxCopies:
		o.end(s, SendOverloaded, fmt.Errorf("dht: %d copies of messages have no outcome yet, this would be %d more", o.copies, n))
		return
	case len(frame) > o.o.MaxFrame:
		o.end(s, NotSendable, tooLong(len(frame), o.o.MaxFrame))
		return
	}
	if MayReturn(s.m.To, out.Peers) {
		o.o.Dedup.Own(out.Envelope.DedupHash(), o.o.Selector.Self, wall)
	}
	h := &out.Envelope.Header
	o.progress(s, Progress{Kind: SendSelected, Peers: out.Peers, Tag: h.Tag, Destination: h.Destination})
	o.spread(now, s, frame, out.Peers)
}

// draft is the message with everything that the strategy decides.
func (o *Outbound) draft(wall time.Time, m *Message) wire.Draft {
	h := wire.DomainHeader{Type: m.Type}
	expires := m.Expires
	if expires <= 0 {
		expires = DefaultExpires
	}
	d := wire.Draft{
		Destination: destination(m), Sign: m.Sign, Tag: m.Tag,
		Expires: uint64(wall.Add(expires).Unix()),
	}
	switch m.To.(type) {
	case Direct, DirectKey: // else equal messages are to be equal bytes
		h.Nonce = o.o.Rand.Uint64N(1<<64-1) + 1
	}
	if d.Tag == 0 {
		d.Tag = o.o.Rand.Uint64()
	}
	if m.Encrypt {
		d.EncryptFor, d.Sign = d.Destination.Key, false
	}
	d.Body = wire.AppendBody(nil, h.Append(make([]byte, 0, 24)), m.Body)
	return d
}

// destination is whom the header names.
func destination(m *Message) wire.Destination {
	if m.Destination.Known {
		return m.Destination
	}
	switch to := m.To.(type) {
	case DirectKey:
		if m.Encrypt {
			return wire.To(to.Key)
		}
	case Propagate:
		return to.To
	}
	return wire.Destination{}
}

// spread gives each peer a copy.
func (o *Outbound) spread(now time.Time, s *send, frame []byte, peers []identity.NodeID) {
	s.frame = frame
	if s.relay() {
		o.relaying[s] = struct{}{}
	} else {
		s.begin(now)
	}
	s.copies = make([]*copyOut, len(peers))
	s.open = len(peers)
	o.copies += len(peers)
	if s.relay() {
		o.relays += len(peers)
		o.counts.RelayCopies += uint64(len(peers))
	} else {
		o.counts.Copies += uint64(len(peers))
	}
	o.wakes.put(&s.wake, s.early)
	for i, peer := range peers {
		o.order++
		c := &copyOut{send: s, index: i, order: o.order, peer: o.peer(peer)}
		s.copies[i] = c
		c.peer.push(c)
	}
	for _, c := range s.copies {
		o.pump(now, c.peer)
	}
}

// Sent is the outcome of one Write.
func (o *Outbound) Sent(now time.Time, id uint64, outcome protocol.Outcome) *OutboundEffects {
	o.begin()
	c, ok := o.given[id]
	if !ok {
		return o.effects(now)
	}
	delete(o.given, id)
	p := c.peer
	p.back(now, c, outcome.Kind != protocol.Failed)
	refused := outcome.Kind == protocol.Failed && outcome.Reason == protocol.Overloaded // on our side
	if outcome.Kind == protocol.Confirmed || c.state != copySettled && !refused {       // else we have taken it back
		p.progress(now)
	}
	switch {
	case c.state == copySettled: // its time was over
		if c.send.relay() && outcome.Kind == protocol.Confirmed {
			o.o.Unreached.Reached(c.send.relayed.hash, p.id)
		}
	case outcome.Kind == protocol.InDoubt && o.mayResend(now, c):
		c.doubt, p.notBefore = outcome, now.Add(retryAfter)
		p.again(c)
	case outcome.Kind == protocol.Failed && o.mayRetry(now, c, outcome.Reason):
		p.notBefore = now.Add(retryAfter)
		p.push(c)
	case outcome.Reason == protocol.DialFailed && c.doubt.Kind != 0 && o.mayResend(now, c):
		p.notBefore = now.Add(retryAfter)
		p.again(c) // it was gone again already
	default:
		o.settle(c, c.final(outcome))
	}
	o.due(now)
	o.pump(now, p)
	return o.effects(now)
}

// mayResend reports whether a copy in doubt is to be tried again: receivers know
// it by its hash.
func (o *Outbound) mayResend(now time.Time, c *copyOut) bool {
	return !o.closing && !c.send.relay() && now.Before(c.send.early)
}

// mayRetry reports whether a copy that was not written may be later.
func (o *Outbound) mayRetry(now time.Time, c *copyOut, r protocol.Reason) bool {
	return !o.closing && (r == protocol.Overloaded || r == protocol.Closed) && now.Before(c.send.early)
}

// Connected says that a peer has a new connection.
func (o *Outbound) Connected(now time.Time, peer identity.NodeID) *OutboundEffects {
	o.begin()
	o.due(now)
	if p, ok := o.peers[peer]; ok {
		p.connected++
		p.progress(now)
		for _, c := range p.doubtful.list {
			if c.state == copyDoubtful {
				p.push(c)
			}
		}
		p.doubtful = copyList{}
		o.pump(now, p)
	}
	return o.effects(now)
}

// Due is called when the time has come.
func (o *Outbound) Due(now time.Time) *OutboundEffects {
	o.begin()
	o.woken = time.Time{}
	o.due(now)
	return o.effects(now)
}

// due does what is due. Every event begins with it, so that nothing is given out
// after its time because a timer is late.
func (o *Outbound) due(now time.Time) {
	for w := o.wakes.due(now); w != nil; w = o.wakes.due(now) {
		switch {
		case w.send != nil:
			o.late(now, w.send)
		case w.peer != nil:
			o.look(now, w.peer)
			o.pump(now, w.peer)
		default:
			o.forget(now)
		}
	}
}

// forget drops the peers of which nothing has to be remembered.
func (o *Outbound) forget(now time.Time) {
	for id, p := range o.peers {
		if p.idle(now) {
			o.wakes.drop(&p.wake)
			delete(o.peers, id)
		}
	}
}

// late ends what has taken too long: first what is not written, a little later
// the rest.
func (o *Outbound) late(now time.Time, s *send) {
	if len(s.copies) == 0 { // the peer is looked for
		o.end(s, DiscoveryFailed, errSearching)
		return
	}
	last, taken := !now.Before(s.until), s.taken
	s.taken = true
	for _, c := range s.copies {
		switch c.state {
		case copyWaiting:
			o.settle(c, c.final(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Expired}))
			o.pump(now, c.peer)
		case copyDoubtful:
			o.settle(c, c.doubt)
		case copyGiven:
			if !taken { // when the timer was late, too: it is not to be written after the end
				o.fx.Withdraw = append(o.fx.Withdraw, Write{ID: c.id, Peer: c.peer.id})
			}
			if last {
				o.settle(c, protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.Expired})
			}
		}
	}
	if !s.ended {
		o.wakes.put(&s.wake, s.until)
	}
}

// Finish takes nothing more and repeats nothing: what waits goes on, what is in
// doubt or looks for somebody ends.
func (o *Outbound) Finish(now time.Time) *OutboundEffects {
	o.begin()
	o.due(now)
	o.finish(copyDoubtful)
	return o.effects(now)
}

// Close is Finish, and has what waits fail too: nothing more is written.
func (o *Outbound) Close(now time.Time) *OutboundEffects {
	o.begin()
	o.finish(copyDoubtful, copyWaiting)
	for _, p := range o.peers { // what is left is passed on for others
		for _, c := range slices.Clone(p.relays.list) {
			if c.state == copyWaiting {
				o.settle(c, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed})
			}
		}
	}
	return o.effects(now)
}

// finish settles the copies in these states.
func (o *Outbound) finish(states ...copyState) {
	o.closing = true
	for _, s := range o.inOrder() {
		if len(s.copies) == 0 {
			o.end(s, SendClosed, nil)
			continue
		}
		for _, c := range s.copies {
			if slices.Contains(states, c.state) {
				o.settle(c, c.final(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed}))
			}
		}
	}
}

// settle gives a copy its outcome.
func (o *Outbound) settle(c *copyOut, outcome protocol.Outcome) {
	s, was := c.send, c.state
	c.state = copySettled
	switch was {
	case copyWaiting:
		c.peer.queueOf(c).settle()
	case copyDoubtful:
		c.peer.doubtful.settle()
	}
	if s.relay() {
		o.relays--
		c.peer.relayed -= s.relayed.size
		c.peer.openRelays--
	}
	o.copies--
	s.open--
	o.count(c, outcome)
	o.progress(s, Progress{Kind: SendSettled, Copy: c.index, Outcome: outcome})
	if s.open == 0 {
		o.end(s, 0, nil)
	}
}

func (o *Outbound) count(c *copyOut, outcome protocol.Outcome) {
	switch k := outcome.Kind; {
	case c.send.relay() && k == protocol.Confirmed:
		o.counts.RelayConfirmed++
	case c.send.relay():
		o.missed(c.send, c.peer.id, cmp.Or(c.why, o.whyFailed(outcome)))
	case k == protocol.Confirmed:
		o.counts.Confirmed++
	case k == protocol.InDoubt:
		o.counts.InDoubt++
	default:
		o.counts.Failed++
	}
}

func (o *Outbound) end(s *send, r SendReason, err error) {
	s.ended = true
	o.wakes.drop(&s.wake)
	if s.relay() {
		delete(o.relaying, s)
		if s.relayed.lease != nil {
			o.fx.Released = append(o.fx.Released, s.relayed.lease)
		}
		return
	}
	delete(o.sends, s.id)
	o.progress(s, Progress{Kind: SendEnded, Reason: r, Err: err})
}

func (o *Outbound) progress(s *send, p Progress) {
	if !s.relay() {
		p.ID = s.id
		o.fx.Progress = append(o.fx.Progress, p)
	}
}

func (o *Outbound) begin() {
	o.fx = OutboundEffects{
		Progress: emptied(o.fx.Progress), Withdraw: emptied(o.fx.Withdraw),
		Write: emptied(o.fx.Write), Discover: emptied(o.fx.Discover), Released: emptied(o.fx.Released),
	}
}

// emptied returns the list's memory for the next one, unless it is much.
func emptied[T any](list []T) []T {
	if cap(list) > keptEffects {
		return nil
	}
	clear(list)
	return list[:0]
}

func (o *Outbound) effects(now time.Time) *OutboundEffects {
	if len(o.peers) > 0 && !o.sweep.set() {
		o.wakes.put(&o.sweep, now.Add(sweepEvery))
	}
	if at := o.wakes.next(); !at.IsZero() && (o.woken.IsZero() || at.Before(o.woken)) {
		o.woken, o.fx.Wake = at, at
	}
	return &o.fx
}
