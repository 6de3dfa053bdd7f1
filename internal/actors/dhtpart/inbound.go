package dhtpart

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// inbound judges the messages of its share of the peers. Each message passes through the
// chain in one turn and then goes to its handler or, to be relayed, to outbound. A
// message keeps its credit until that actor has finished it.
//
// In: Frame, notTaken, dht.RelayHeard, dht.IgnoreHeard and dht.DeliverStored of the part
// that got a dht.Heard, Drain, event PeerUnbanned. Out: dht.Received to the handler of the
// message's type, dht.Heard to the part of the node for the DHT's own messages,
// dht.Offered to the part that stores messages for others, relayMessage to outbound,
// dht.StoredHandled, PeerViolated to connectivity, Drained. A restart loses messages
// that wait for slow handlers or to be relayed; a later copy of the latter is relayed.
type inbound struct {
	dht      *DHT
	shard    *shard
	counts   *counts
	chain    *dht.Inbound
	flood    *dht.FloodMeter
	backlog  *dht.Backlog[any] // dht.Received, storedMessage and relayMessage
	look     *supervisor.Timer
	reported map[identity.NodeID]offence
	garbled  base.Summary // log record for peers whose messages do not decode
}

// offence is the last offence of a peer that was reported.
type offence struct {
	conn uint64
	ban  time.Duration
}

// maxReported bounds how many offences are remembered.
const maxReported = 1024

type (
	// handlerFreed reports that a handler has finished a message, or that a relayed
	// message has ended, while more messages of that peer wait.
	handlerFreed struct{ by dht.Holder }
	// backlogTick asks for a check of the handlers that messages wait for.
	backlogTick struct{}
)

// Inbounds returns the specs of the actors that judge inbound DHT messages.
func (d *DHT) Inbounds() []supervisor.Spec {
	specs := make([]supervisor.Spec, len(d.shards))
	for i, s := range d.shards {
		specs[i] = supervisor.Spec{
			Name: s.name, Kind: "dhtInbound",
			New: func() actor.Actor {
				return &inbound{
					dht: d, shard: s, counts: &s.counts, flood: s.flood, garbled: base.Summary{What: "messages of a peer do not decode and are dropped"},
				}
			},
			Alarm: users.HandlerAlarm, Drains: true,
		}
	}
	return specs
}

func (a *inbound) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case Frame:
		a.frame(c, m)
	case notTaken:
		f := Frame{Peer: m.origin.Peer, Conn: m.origin.Conn}
		if ref, ok := a.dht.trunk.Connection(f.Peer); ok {
			f.Key = ref.Key
		}
		a.meter(c, f)
	case dht.IgnoreHeard:
		a.meter(c, Frame{Peer: m.Incoming.Source, Key: m.Key, Conn: m.Conn})
	case dht.RelayHeard:
		a.relayHeard(c, m)
	case dht.DeliverStored:
		a.stored(c, m)
	case actors.PeerUnbanned:
		a.flood.Forgive(m.Peer)
	case supervisor.Drain: // all that was read has been judged
		a.shard.draining = c.Sender()
	case base.SummaryDue:
		m.Tell(c)
	case handlerFreed:
		a.release(c, a.backlog.Resume(supervisor.Now(c), m.by))
	case backlogTick:
		a.look = nil
		a.release(c, a.backlog.Look(supervisor.Now(c)))
		a.watch(c)
	default:
		supervisor.Unhandled(c)
	}
	a.drained(c)
}

// drained answers Drain when no message waits for its handler.
func (a *inbound) drained(c actor.Context) {
	if a.shard.draining == nil {
		return
	}
	if all, relays := a.backlog.Waiting(); all == relays {
		c.Send(a.shard.draining, supervisor.Drained{From: c.Self()})
		a.shard.draining = nil
	}
}

func (a *inbound) start(c actor.Context) {
	s, t := a.dht.Settings, a.dht.trunk
	known := t.Store()
	a.chain = dht.NewInbound(dht.InboundOptions{
		Secret: t.Secret(), Features: t.Features(), NoForwarding: s.NoForwarding, Dedup: s.Dedup,
		Known:       func(peer identity.NodeID) bool { _, ok := known.Get(peer); return ok },
		Occurrences: uint32(max(0, s.Occurrences)), Layers: s.Layers, Unreached: s.Unreached,
	})
	a.reported = make(map[identity.NodeID]offence)
	supervisor.Subscribe[actors.PeerUnbanned](c)
	tell := supervisor.Teller(c)
	a.backlog = dht.NewBacklog[any](t.PeerCredit(), func(by dht.Holder) { tell(handlerFreed{by}) })
	supervisor.OwnFunc(c, a.abandon)
}

// abandon returns the credit of the messages that wait.
func (a *inbound) abandon() {
	for _, r := range a.backlog.Clear() {
		r.Message.(supervisor.Discarder).Discard()
	}
}

// frame judges one message and carries out the verdict.
func (a *inbound) frame(c actor.Context, f Frame) {
	if f.over != nil {
		a.ended(c, f, dht.OverControls, f.over)
		return
	}
	m, v := a.judge(c, f)
	a.dht.judged(c, f, m, v)
	if v.Violation != nil {
		a.violated(c, f, v.Violation)
	}
	switch {
	case v.Reason == dht.Delivered:
		a.dht.trunk.MarkUseful(f.Peer, f.Conn)
		a.deliver(c, f, m, v.Domain)
		return
	case v.Reason == dht.Handled: // of no use yet: everybody may send them
		v.Reason = a.hand(c, f, m)
	case a.offer(c, f, m, v):
	case v.Relay != nil && !a.dht.NoForwarding:
		reason, err := a.relay(c, m, v.Relay, f.pass())
		if err != nil {
			v.Reason, v.Err = reason, err
		}
	}
	a.ended(c, f, v.Reason, v.Err)
}

// relay gives a message to outbound to be relayed, or lets it wait until earlier
// relayed messages of the same peer have ended. An error says why it is dropped, and then
// its credit has gone back.
func (a *inbound) relay(c actor.Context, m *dht.Incoming, to dht.Strategy, credit passedCredit) (dht.Reason, error) {
	relay := relayMessage{
		Envelope: m.Envelope, Hash: m.Hash, To: to, Again: m.Again, Origin: credit.source,
		unreached: a.dht.Unreached, credit: credit,
	}
	if err := a.dht.relayed.Take(supervisor.Now(c), credit.relaySource(), credit.permit.Len()); err != nil {
		relay.Discard() // a copy may come from another source
		return dht.OverRelayBytes, err
	}
	fate, held := a.backlog.AddRelay(supervisor.Now(c), credit.source.Peer, credit.permit.Cost(), relay)
	switch fate {
	case dht.FateGive:
		holdBy(credit.permit, held)
		c.Send(a.dht.Outbound, relay)
	case dht.FateWait:
		a.watch(c)
	case dht.FateDrop:
		relay.Discard()
		return dht.RelaysStuck, errRelaysStuck
	}
	return 0, nil
}

// relayHeard relays a message of the DHT itself, as the part that handles it asks. A Join is
// relayed by every node that is no client (spec: dht 6).
func (a *inbound) relayHeard(c actor.Context, m dht.RelayHeard) {
	credit := m.Credit.(passedCredit)
	if !credit.permit.Held() {
		return
	}
	if a.dht.NoForwarding && m.Incoming.Envelope.Header.Type != wire.TypeJoin || a.dht.trunk.Features()&identity.FeatureStoreForward == 0 {
		credit.Discard()
		return
	}
	if reason, err := a.relay(c, m.Incoming, m.To, credit); err != nil {
		if m.Incoming.Sealed { // it was counted when it was offered to the store
			a.counts.remove(dht.ForOthers)
		}
		a.counts.add(reason)
		a.counts.failed(reason, supervisor.Now(c), m.Incoming.Source, err)
	}
}

var errRelaysStuck = fmt.Errorf("dht: nothing of this peer for others has ended for %s; a later copy is relayed", dht.StuckAfter)

var errChainPanicked = errors.New("dht: the chain panicked; the log says where")

// judge returns the verdict of the chain on a message. A message on which the chain
// panics is counted too.
func (a *inbound) judge(c actor.Context, f Frame) (m *dht.Incoming, v dht.Verdict) {
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	panicked := true
	defer func() {
		if panicked {
			a.chainPanicked(now, f)
		}
	}()
	proof := f.group.proof(f.place, func(bodies [][]byte) []dht.Proof {
		return a.chain.Prove(wall, f.Peer, supervisor.Rand(c).Reader, bodies)
	})
	m, v = a.chain.Handle(now, wall, dht.Frame{Source: f.Peer, Key: f.Key, Body: f.Body, Proof: proof})
	panicked = false
	a.layerPanicked(f, v)
	return m, v
}

// chainPanicked counts a message on which the chain has panicked.
func (a *inbound) chainPanicked(now time.Time, f Frame) {
	a.counts.add(dht.Panicked)
	a.counts.failed(dht.Panicked, now, f.Peer, errChainPanicked)
}

// layerPanicked reports a verdict that says that a layer of the application has panicked.
func (a *inbound) layerPanicked(f Frame, v dht.Verdict) {
	if layer, ok := errors.AsType[*dht.LayerPanic](v.Err); ok {
		a.dht.trunk.LayerPanicked(layer.Layer, layer.Value, layer.Stack, actors.Origin{Peer: f.Peer, Conn: f.Conn})
	}
}

// deliver gives a message to the handler of its type, or lets it wait for the handler.
func (a *inbound) deliver(c actor.Context, f Frame, m *dht.Incoming, d *dht.Domain) {
	lent := &handlerCredit{passedCredit: f.pass(), dht: a.dht, hash: m.Hash, copies: m.Copies, sealed: m.Envelope.Header.Encrypted(), size: len(f.Body)}
	taken := false
	defer func() {
		if !taken {
			lent.Discard()
		}
	}()
	handler, ok := a.dht.Types.Get(d.Type)
	if !ok || handler.failed() {
		a.unheard(c, f, d.Type, ok)
		return
	}
	var msg any = toHandler(f, m, d, lent)
	fate, held := a.backlog.Add(supervisor.Now(c), f.Peer, d.Type, handler.work, f.permit.Cost(), msg)
	switch fate {
	case dht.FateGive:
		taken = true
		a.give(c, handler.PID, f.permit, held, msg)
	case dht.FateWait:
		taken = true
		a.watch(c)
	case dht.FateDrop:
		a.ended(c, f, dht.HandlerStuck, handlerStuck(d.Type))
	}
}

// toHandler returns the message as its handler receives it, with the credit that the frame has
// passed on.
func toHandler(f Frame, m *dht.Incoming, d *dht.Domain, credit dht.Credit) dht.Received {
	h := &m.Envelope.Header
	return dht.Received{
		From: m.Origin, Peer: f.Peer, Conn: f.Conn, Destination: h.Destination.Key, Encrypted: h.Encrypted(),
		Tag: h.Tag, Type: d.Type, Body: d.Body, Copies: m.Copies, Stored: m.Stored, Expires: h.Expires, Credit: credit,
	}
}

// give sends a message to its handler. When the message is finished, its credit returns
// to the peer's account and to the handler's share of it.
func (a *inbound) give(c actor.Context, to *actor.PID, p *credit.Permit, held *dht.Held, m any) {
	holdBy(p, held)
	a.counts.add(dht.Delivered)
	c.Send(to, m)
}

// holdBy records the holder of the message's credit; held may be nil.
func holdBy(p *credit.Permit, held *dht.Held) {
	if held != nil {
		p.HeldBy(held)
	}
}

// release takes messages that the backlog has released, and gives them to their handlers
// or to outbound, or drops them.
func (a *inbound) release(c actor.Context, all []dht.Released[any]) {
	for _, r := range all {
		if relay, ok := r.Message.(relayMessage); ok {
			a.releaseRelay(c, relay, r)
			continue
		}
		if m, ok := r.Message.(storedMessage); ok {
			a.releaseStored(c, m, r)
			continue
		}
		m := r.Message.(dht.Received)
		f := Frame{Peer: m.Peer, Conn: m.Conn}
		if r.Fate == dht.FateDrop {
			m.Credit.Discard()
			a.ended(c, f, dht.HandlerStuck, handlerStuck(m.Type))
			continue
		}
		handler, ok := a.dht.Types.Get(m.Type)
		if ok && !handler.failed() {
			a.give(c, handler.PID, m.Credit.(*handlerCredit).permit, r.Held, r.Message)
			continue
		}
		holdBy(m.Credit.(*handlerCredit).permit, r.Held)
		m.Credit.Discard()
		a.unheard(c, f, m.Type, ok)
	}
}

// releaseRelay gives a released message to outbound, or drops it. The message was
// already counted when it came.
func (a *inbound) releaseRelay(c actor.Context, m relayMessage, r dht.Released[any]) {
	if r.Fate == dht.FateDrop {
		m.Discard()
		a.counts.add(dht.RelaysStuck)
		a.counts.failed(dht.RelaysStuck, supervisor.Now(c), m.Origin.Peer, errRelaysStuck)
		return
	}
	holdBy(m.credit.permit, r.Held)
	c.Send(a.dht.Outbound, r.Message)
}

// unheard drops a message whose type has no handler, or whose handler has failed.
func (a *inbound) unheard(c actor.Context, f Frame, kind int32, registered bool) {
	if registered {
		a.ended(c, f, dht.HandlerFailed, handlerFailed(kind))
		return
	}
	a.ended(c, f, dht.NoHandler, noHandler(kind))
}

// watch sets the timer for the next check of handlers while messages wait for them.
func (a *inbound) watch(c actor.Context) {
	if a.look != nil {
		return
	}
	if at, ok := a.backlog.Next(supervisor.Now(c)); ok {
		a.look = supervisor.At(c, at, backlogTick{})
	}
}

// hand gives one of the DHT's own messages to the part of the node that handles it.
func (a *inbound) hand(c actor.Context, f Frame, m *dht.Incoming) dht.Reason {
	part, ok := a.dht.trunk.Provider(dht.ProviderOf(m.Envelope.Header.Type))
	if !ok {
		return dht.NoPart
	}
	c.Request(part, dht.Heard{Incoming: m, Conn: f.Conn, Credit: f.pass()})
	return dht.Handled
}

// ended counts a message that no handler of the application took. Such messages also
// count towards a flood, unless the peer is exempt or code of this node is at fault
// (spec: V28).
func (a *inbound) ended(c actor.Context, f Frame, why dht.Reason, err error) {
	now := supervisor.Now(c)
	a.counts.add(why)
	if why == dht.Undecodable && a.dht.undecoded(now, f.Peer, a.dht.frames.ID) {
		a.garbled.Say(c, f.Peer, err, "proto", a.dht.frames.ID)
	}
	if err != nil {
		a.counts.failed(why, now, f.Peer, err)
		supervisor.Log(c).Debug("message dropped", "peer", f.Peer, "conn", f.Conn, "err", err)
	}
	if why != dht.HandlerStuck && why != dht.HandlerFailed && why != dht.Panicked {
		a.meter(c, f)
	}
}

// meter counts a message towards a flood, and reports the peer when it exceeds the
// limit. Peers that are allowed or protected are exempt.
func (a *inbound) meter(c actor.Context, f Frame) {
	if a.dht.trunk.Unlimited(f.Peer) {
		return
	}
	now := supervisor.Now(c)
	if v := a.flood.Count(now, f.Peer); v != nil {
		a.violated(c, f, v)
	}
}

// violated reports an offence to connectivity, which will close the connection. The
// mailbox may still hold thousands of such messages of that connection, so a further
// offence on it is reported only if its ban is longer.
func (a *inbound) violated(c actor.Context, f Frame, v *protocol.Violation) {
	if last, ok := a.reported[f.Peer]; ok && last.conn == f.Conn && last.ban >= v.Ban {
		return
	}
	if len(a.reported) >= maxReported {
		clear(a.reported)
	}
	a.reported[f.Peer] = offence{f.Conn, v.Ban}
	c.Send(a.dht.trunk.Connectivity(), base.PeerViolated{Peer: f.Peer, Key: f.Key, Conn: f.Conn, Err: v, Origin: f.origin})
}

// Reasons for dropping a message of a type.
type (
	noHandler     int32
	handlerStuck  int32
	handlerFailed int32
)

func (t noHandler) Error() string { return fmt.Sprintf("dht: nobody handles type %d", int32(t)) }

func (t handlerStuck) Error() string {
	return fmt.Sprintf("dht: the handler of type %d has finished nothing for %s", int32(t), dht.StuckAfter)
}

func (t handlerFailed) Error() string {
	return fmt.Sprintf("dht: the handler of type %d has failed; the log says why, and whether it is tried again", int32(t))
}

// Shard is the state of one inbound actor.
type Shard struct {
	Counts  []Count `json:"counts"`          // messages by reason of their end, since the start
	Waiting int     `json:"waiting"`         // messages that wait for slow handlers or to be relayed
	Relays  int     `json:"relays"`          // those of Waiting that wait to be relayed
	Stuck   []int32 `json:"stuck,omitempty"` // types whose handlers are stuck
	Metered int     `json:"metered"`         // peers that the flood meter remembers
	Held    int     `json:"held"`            // readers that wait because their peer is at the flood limit
	Unread  uint64  `json:"unread"`          // messages of such peers that were dropped and not judged
}

// Inspect returns a Shard.
func (a *inbound) Inspect() any {
	waiting, relays := a.backlog.Waiting()
	flood := a.flood.Stats()
	return Shard{
		Counts: sumCounts(a.counts), Waiting: waiting, Relays: relays, Stuck: a.backlog.Stuck(a.dht.trunk.Now()),
		Metered: flood.Peers, Held: flood.Held, Unread: flood.Unread,
	}
}

func (a *inbound) String() string {
	var parts []string
	for _, n := range sumCounts(a.counts) {
		parts = append(parts, fmt.Sprintf("%d %s", n.Count, n.Reason))
	}
	if len(parts) == 0 {
		parts = []string{"no messages"}
	}
	n, relays := a.backlog.Waiting()
	if n > relays {
		parts = append(parts, fmt.Sprintf("%d wait for their handlers", n-relays))
	}
	if relays > 0 {
		parts = append(parts, fmt.Sprintf("%d wait to be relayed", relays))
	}
	for _, kind := range a.backlog.Stuck(a.dht.trunk.Now()) {
		parts = append(parts, fmt.Sprintf("the handler of type %d is stuck", kind))
	}
	return strings.Join(parts, ", ")
}
