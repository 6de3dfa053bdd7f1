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

// Outbound sends our own messages, and relays those of others, through the messaging
// sessions of peers. It selects peers, encrypts and signs a message once for all
// copies, paces the copies for nodes that would take more for a flood, and sends a
// copy in doubt again when its peer is connected again. Every send ends within its
// limit, with an outcome for each copy (spec: dht 1.4, 5).
//
// It is a machine: it never blocks, and acts through the effects that it returns.
type Outbound struct {
	o      OutboundOptions
	choose *sendChain
	write  *sendChain

	sends    map[uint64]*send
	relaying map[*send]struct{}  // the messages that are relayed
	passing  *send               // the message of the running call of Relay
	given    map[uint64]*copyOut // the copies that messaging sessions have
	peers    map[identity.NodeID]*outPeer
	wakes    wakes
	woken    time.Time // the last Wake that was returned
	order    uint64    // of the last copy
	copies   int       // without an outcome
	relays   int       // … of relayed messages
	closing  bool
	sweep    wake // when to forget idle peers
	counts   OutboundCounts
	fx       OutboundEffects
}

// OutboundOptions are the settings of an [Outbound].
type OutboundOptions struct {
	Secret   *identity.Secret
	Selector Selector
	View     View // of the peers, read anew for each message
	Dedup    *Dedup
	Rand     *rand.Rand
	Random   io.Reader // for keys and nonces
	// NewID returns numbers that are unique while the node runs.
	NewID func() uint64
	// Paced reports whether a peer's messages are paced, because the peer bans
	// floods; Pace is how many it gets in [PaceWithin]. 0 is [DefaultPace].
	Paced func(identity.NodeID) bool
	Pace  int
	// RelayLimit is how many relayed messages any peer gets in 60 s. 0 is
	// [RelayLimit].
	RelayLimit int
	// RelayedTo is how many relayed bytes may wait for one peer. 0 is [RelayedTo].
	RelayedTo int64
	// Online reports whether the peer has a connection now. It may be nil: then copies
	// in doubt wait for [Outbound.Connected] alone.
	Online func(identity.NodeID) bool
	// Moved returns when a peer's session last wrote bytes to its connection. It may
	// be nil.
	Moved func(identity.NodeID) time.Time
	// Unreached remembers the peers that relayed messages did not reach. It may be
	// nil.
	Unreached *Unreached
	// Paces is the result of [Outbound.Paces] of the machine before this one; nil
	// for the first.
	Paces Paces
	// Window is how many bytes of frames without an outcome a peer's session may
	// have, with 256 bytes added for each frame. One frame of any size is allowed.
	// 0 is 512 KiB.
	Window int64
	// MaxFrame is the maximum length of an encoded message in bytes. Longer messages
	// are not sendable. 0 is 8 MiB.
	MaxFrame int
	// Discovers reports whether the node can search for unknown peers.
	Discovers func() bool
	Layers    map[SendPosition][]SendLayer // at each position the first is outermost
}

// Limits of an [Outbound].
const (
	DefaultPace = 900 // the strictest known release bans above 1,000
	PaceWithin  = time.Minute

	// MaxCopies is how many copies may be without an outcome; half of them may be of
	// relayed messages.
	MaxCopies = 1 << 16

	defaultWindow = 512 << 10
	defaultFrame  = 8 << 20
	frameOverhead = 256
	retryAfter    = 250 * time.Millisecond
	sweepEvery    = time.Minute
	keptEffects   = 1024 // the capacity that a list of effects keeps for the next call
)

// OutboundCounts counts all messages so far by their outcome.
type OutboundCounts struct {
	Sends, Copies               uint64
	Confirmed, InDoubt, Failed  uint64 // copies of our own
	Relays, RelayCopies         uint64 // relayed messages, and copies of them
	RelaysNobody, RelaysDropped uint64 // relayed messages without a target; those refused for every target
	RelayConfirmed              uint64 // copies
	RelayFailed                 RelayFailures
	Tries, Resent               uint64
	Paced                       uint64 // copies that had to wait for the pace
}

// send is one send under way.
type send struct {
	id         uint64 // 0: relayed
	m          Message
	until      time.Time
	withdrawAt time.Time // when unwritten copies are withdrawn
	withdrawn  bool
	frame      []byte
	copies     []*copyOut
	open       int
	ended      bool
	wake       wake
	relayed    *relaying // with id 0
}

func newSend(id uint64, m Message, until time.Time) *send {
	s := &send{id: id, m: m, until: until, withdrawAt: until}
	s.wake.send = s
	return s
}

// begin sets withdrawAt, when unwritten copies are withdrawn: long enough before the send
// ends that sessions can report which copies they have written.
func (s *send) begin(now time.Time) {
	left := s.until.Sub(now)
	s.withdrawAt = s.until.Add(-min(time.Second, max(left/10, min(left/2, 100*time.Millisecond))))
}

func (s *send) relay() bool { return s.id == 0 }

// NewOutbound returns a machine without sends.
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

// Counts returns the counts of all messages so far.
func (o *Outbound) Counts() OutboundCounts { return o.counts }

// Len returns how many sends and copies are under way.
func (o *Outbound) Len() (sends, copies int) { return len(o.sends), o.copies }

// Send begins to send a message of our own. Id is not 0 and is used once. Wall is the
// system's clock, from which the message's expiry is calculated.
func (o *Outbound) Send(now, wall time.Time, id uint64, m Message) *OutboundEffects {
	return o.SendUntil(now, wall, id, m, now.Add(m.For()))
}

// SendUntil is Send for a message that was accepted earlier. The send ends at until,
// which is a time of the same clock as now.
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

// accept selects peers and sends the message to them, or starts a search for an
// unknown peer.
func (o *Outbound) accept(now, wall time.Time, s *send) {
	out := Outgoing{Now: now, Wall: wall, Message: s.m}
	var err error
	if s.m.control == wire.TypeDomain {
		out, err = o.choose.run(&out)
	} else { // layers see the application's messages only
		err = o.selectPeers(&out)
	}
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

// selectPeers checks a message and selects its peers. It runs after the layers at
// [BeforeSelect].
func (o *Outbound) selectPeers(out *Outgoing) (err error) {
	switch to := out.To.(type) {
	case nil:
		return fmt.Errorf("%w: no recipient; set To", ErrNotSendable)
	case Random:
		if to.N <= 0 {
			return fmt.Errorf("%w: Random.N is %d; set it to the number of nodes", ErrNotSendable, to.N)
		}
	case Selected:
		if len(to.Peers) == 0 {
			return fmt.Errorf("%w: Selected.Peers is empty; name at least one", ErrNotSendable)
		}
	case StoreFor:
		if err := to.check(&out.Message); err != nil {
			return err
		}
	case Direct, DirectKey, Flood, Closest, DirectOrClosest, Broadcast, Propagate:
	default:
		return fmt.Errorf("%w: To is %T; strategies are values", ErrNotSendable, out.To)
	}
	if out.Encrypt {
		switch key := destination(&out.Message); {
		case key.IsZero():
			return fmt.Errorf("%w: Encrypt needs a recipient's key; set Destination, or use DirectKey", ErrNotSendable)
		case key == o.o.Selector.Key: // a relay would ban us for it (spec: dht 6)
			return fmt.Errorf("%w: encrypted for %s", ErrSelf, key)
		}
	}
	out.Peers, err = o.o.Selector.Select(out.To, o.o.View, o.o.Rand)
	return err
}

// Discovered ends the search of a send. The peer was found, or err says why not.
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

// compose encrypts and signs the message once and queues a copy for each peer.
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
	out := Outgoing{Now: now, Wall: wall, Message: s.m, Peers: peers, Envelope: e}
	if s.m.control == wire.TypeDomain {
		out, err = o.write.run(&out)
	}
	if err != nil {
		o.end(s, SendStopped, err)
		return
	}
	frame := out.Envelope.Append(nil)
	toStore := s.toStore(out.Peers)
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
	case toStore && len(out.Envelope.Body) > MaxStored:
		o.end(s, NotSendable, tooLongToStore(len(out.Envelope.Body)))
		return
	}
	if MayReturn(s.m.To, out.Peers) {
		o.o.Dedup.Own(out.Envelope.DedupHash(), o.o.Selector.Self, wall)
	}
	h := &out.Envelope.Header
	o.progress(s, Progress{Kind: SendSelected, Peers: out.Peers, Tag: h.Tag, Destination: h.Destination.Key, ToStore: toStore})
	o.spread(now, s, frame, out.Peers)
}

// draft returns the message with its destination, nonce, tag and expiry.
func (o *Outbound) draft(wall time.Time, m *Message) wire.Draft {
	h := wire.DomainHeader{Type: m.Type}
	expires := m.Expires
	if expires <= 0 {
		expires = DefaultExpires
	}
	d := wire.Draft{Sign: m.Sign, Tag: m.Tag, Expires: uint64(wall.Add(expires).Unix())}
	if key := destination(m); !key.IsZero() {
		d.Destination = wire.To(key)
	}
	switch m.To.(type) {
	case Direct, DirectKey: // with the others, equal messages have equal bytes
		h.Nonce = o.o.Rand.Uint64N(1<<64-1) + 1
	}
	if d.Tag == 0 {
		d.Tag = o.o.Rand.Uint64()
	}
	if m.Encrypt {
		d.EncryptFor, d.Sign = d.Destination.Key, false
	}
	if m.control != wire.TypeDomain {
		d.Type, d.Body = m.control, wire.AppendBody(nil, m.Body)
		return d
	}
	d.Body = wire.AppendBody(nil, h.Append(make([]byte, 0, 24)), m.Body)
	return d
}

// destination returns the destination in the message's header, zero for none.
func destination(m *Message) identity.PublicKey {
	if !m.Destination.IsZero() {
		return m.Destination
	}
	switch to := m.To.(type) {
	case DirectKey:
		if m.Encrypt {
			return to.Key
		}
	case Propagate:
		return to.To
	case StoreFor:
		return to.To
	}
	return identity.PublicKey{}
}

// spread queues a copy for each peer and sends those that may go now.
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
	o.wakes.put(&s.wake, s.withdrawAt)
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

// Sent takes the outcome of one Write.
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
	if outcome.Kind == protocol.Confirmed || c.state != copySettled && !refused {       // otherwise it was withdrawn
		p.progress(now)
	}
	switch {
	case c.state == copySettled: // it was given up before
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
		p.again(c) // the new connection has ended already
	default:
		o.settle(c, c.final(outcome))
	}
	o.due(now)
	o.pump(now, p)
	return o.effects(now)
}

// mayResend reports whether a copy in doubt is sent again. Receivers drop a second
// copy, which they know by its hash.
func (o *Outbound) mayResend(now time.Time, c *copyOut) bool {
	return !o.closing && !c.send.relay() && now.Before(c.send.withdrawAt)
}

// mayRetry reports whether an unwritten copy is tried again later.
func (o *Outbound) mayRetry(now time.Time, c *copyOut, r protocol.Reason) bool {
	return !o.closing && (r == protocol.Overloaded || r == protocol.Closed) && now.Before(c.send.withdrawAt)
}

// Connected notes that a peer has a new connection, and sends copies in doubt again.
func (o *Outbound) Connected(now time.Time, peer identity.NodeID) *OutboundEffects {
	o.begin()
	o.due(now)
	if p, ok := o.peers[peer]; ok {
		p.connected++
		p.progress(now)
		p.pushDoubtful()
		o.pump(now, p)
	}
	return o.effects(now)
}

// Due does what is due at now. Call it at [OutboundEffects].Wake.
func (o *Outbound) Due(now time.Time) *OutboundEffects {
	o.begin()
	o.woken = time.Time{}
	o.due(now)
	return o.effects(now)
}

// due does what is due. Every event begins with it, so that no copy is written after
// its time because a timer is late.
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

// forget drops the idle peers.
func (o *Outbound) forget(now time.Time) {
	for id, p := range o.peers {
		if p.idle(now) {
			o.wakes.drop(&p.wake)
			delete(o.peers, id)
		}
	}
}

// late ends the copies of a send that took too long: the unwritten ones first, and
// all others at the send's limit.
func (o *Outbound) late(now time.Time, s *send) {
	if len(s.copies) == 0 { // a search for the peer is under way
		o.end(s, DiscoveryFailed, errSearching)
		return
	}
	last, withdrawn := !now.Before(s.until), s.withdrawn
	s.withdrawn = true
	for _, c := range s.copies {
		switch c.state {
		case copyWaiting:
			o.settle(c, c.final(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Expired}))
			o.pump(now, c.peer)
		case copyDoubtful:
			o.settle(c, c.doubt)
		case copyGiven:
			if !withdrawn { // also at the limit, if the timer was late: it must not be written later
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

// Cancel ends a send of our own whose outcome nobody needs: its copies fail or are in doubt. It
// does nothing if the send has ended.
func (o *Outbound) Cancel(now time.Time, id uint64) *OutboundEffects {
	o.begin()
	o.due(now)
	if s, ok := o.sends[id]; ok {
		o.cut(now, s)
	}
	return o.effects(now)
}

// cut has a send reach its limit now.
func (o *Outbound) cut(now time.Time, s *send) {
	s.until, s.withdrawAt = now, now
	o.late(now, s)
}

// Finish begins to close: new sends fail, copies in doubt, searches and pings end, and
// waiting copies are still sent.
func (o *Outbound) Finish(now time.Time) *OutboundEffects {
	o.begin()
	o.due(now)
	for _, s := range o.inOrder() {
		if s.m.Type == TypePing && !s.relay() { // a ping proves nothing any more, and a peer that is away never answers
			o.cut(now, s)
		}
	}
	o.finish(copyDoubtful)
	return o.effects(now)
}

// Close does what Finish does, and also fails waiting copies: nothing more is written.
func (o *Outbound) Close(now time.Time) *OutboundEffects {
	o.begin()
	o.finish(copyDoubtful, copyWaiting)
	for _, p := range o.peers { // the copies that still wait are relayed ones
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
		if r := c.send.relayed; r.destination == c.peer.id {
			o.fx.Reached = append(o.fx.Reached, Reached{r.hash, r.destination})
		}
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
		if s.relayed.credit != nil {
			o.fx.Released = append(o.fx.Released, s.relayed.credit)
		}
		return
	}
	delete(o.sends, s.id)
	o.progress(s, Progress{Kind: SendEnded, Reason: r, Err: err})
}

func (o *Outbound) progress(s *send, p Progress) {
	if !s.relay() {
		p.ID, p.Control = s.id, s.m.control != wire.TypeDomain
		o.fx.Progress = append(o.fx.Progress, p)
	}
}

func (o *Outbound) begin() {
	o.fx = OutboundEffects{
		Progress: emptied(o.fx.Progress), Withdraw: emptied(o.fx.Withdraw),
		Write: emptied(o.fx.Write), Discover: emptied(o.fx.Discover), Released: emptied(o.fx.Released),
		Reached: emptied(o.fx.Reached),
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
