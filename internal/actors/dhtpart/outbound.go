package dhtpart

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// outbound sends the node's own DHT messages and relays messages of others. The machine
// dht.Outbound decides; outbound carries out its effects.
//
// In: acceptedSend, SendMessage, dht.SendControl, dht.CancelControl, sendQuietly, relayMessage, getSending, Sent, PeerDiscovered,
// Drain, event PeerConnected. Out: Enqueue to messaging actors, DiscoverPeer, dht.Sent,
// dht.Reached to the part that stores messages, Drained. A restart loses pongs and relayed messages; a later copy of a relayed message
// is relayed again. Sends under way end in the ledger, which outlives the actor: as in
// doubt, or as failed if no copy was given to a messaging actor. The paces survive and
// count all copies that were given out. The next incarnation continues a Drain.
type outbound struct {
	dht     *DHT
	machine *dht.Outbound
	carried dht.Carried // how many of the current effects were carried out
	timer   *supervisor.Timer
	lastErr error // of the last send that went to no peer
}

// sendDrain is a Drain of the outbound actor. Only that actor uses it. It outlives the
// actor's incarnations.
type sendDrain struct {
	reply    *actor.PID // sender of the Drain; nil after it was answered
	deadline time.Time
}

type (
	sendDue   struct{}
	closeSend struct{}

	getSending struct{} // reply: Sending
)

// NewOutbound returns the actor that sends and relays the messages of the DHT.
func NewOutbound(d *DHT) actor.Actor { return &outbound{dht: d} }

func (o *outbound) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		o.start(c)
	case *acceptedSend:
		if m.ledger.Take(m.id) {
			o.do(c, o.machine.SendUntil(supervisor.Now(c), supervisor.Wall(c), m.id, m.message, m.until))
		}
	case SendMessage:
		o.dht.requestSend(c, m)
	case dht.SendControl:
		o.dht.requestControl(c, m)
	case dht.CancelControl:
		o.dht.controls.Fail(supervisor.Now(c), m.ID, dht.SendExpired, nil) // its acceptedSend may come later
		o.do(c, o.machine.Cancel(supervisor.Now(c), m.ID))
	case sendQuietly:
		o.do(c, o.machine.Send(supervisor.Now(c), supervisor.Wall(c), o.dht.trunk.NewID(), m.message))
	case relayMessage:
		o.relay(c, m)
	case actors.Sent:
		o.do(c, o.machine.Sent(supervisor.Now(c), m.ID, m.Outcome))
	case actors.PeerConnected:
		o.do(c, o.machine.Connected(supervisor.Now(c), m.Peer))
	case trunk.PeerDiscovered:
		o.do(c, o.machine.Discovered(supervisor.Now(c), supervisor.Wall(c), m.Token, m.Key.NodeID(), m.Err))
	case getSending:
		supervisor.Reply(c, o.sending())
	case sendDue:
		o.timer = nil
		o.do(c, o.machine.Due(supervisor.Now(c)))
	case supervisor.Drain:
		o.dht.sendDrain = &sendDrain{c.Sender(), m.Deadline}
		o.drain(c)
	case closeSend:
		o.do(c, o.machine.Close(supervisor.Now(c)))
	default:
		supervisor.Unhandled(c)
	}
}

func (o *outbound) start(c actor.Context) {
	random := supervisor.Rand(c)
	view, t, s := peers{o.dht.trunk, o.dht.NoStore}, o.dht.trunk, o.dht.Settings
	o.machine = dht.NewOutbound(dht.OutboundOptions{
		Secret: t.Secret(),
		Selector: dht.Selector{
			Self: t.Secret().PublicKey().NodeID(), Key: t.Secret().PublicKey(),
			Broadcast: s.Broadcast, Propagation: s.Propagation, Neighbours: s.Neighbours,
		},
		View: view, Dedup: s.Dedup, Rand: random.Rand, Random: random.Reader, NewID: t.NewID,
		Paced: view.counts, Pace: s.SendPace, RelayLimit: s.relayLimit(), Paces: o.dht.paces, Window: t.PeerCredit() / 2, MaxFrame: t.Profile().Limits.MessageBody,
		Discovers: o.discovers, Layers: s.SendLayers, Unreached: s.Unreached, Moved: o.dht.frames.Moved,
		Online:    func(peer identity.NodeID) bool { _, ok := t.Connection(peer); return ok },
		RelayedTo: max(t.PeerCredit(), t.Budgets().Inbound.Limit()/8),
	})
	supervisor.OwnFunc(c, o.abandon)
	t.Provide(dht.Sender, c.Self())
	supervisor.Subscribe[actors.PeerConnected](c)
	if o.dht.sendDrain != nil {
		o.drain(c)
	}
}

// relayLimit returns how many relayed messages a peer gets in 60 s: half of this node's
// own flood limit, at most dht.RelayLimit.
func (s *Settings) relayLimit() int {
	if s.FloodLimit <= 0 {
		return dht.RelayLimit
	}
	return max(1, min(s.FloodLimit/2, dht.RelayLimit))
}

// abandon ends the sends and relayed messages of this incarnation when it ends, and
// saves its paces for the next one.
func (o *outbound) abandon() {
	now := o.dht.trunk.Now()
	o.dht.Ledger.Abandon(now)
	o.dht.controls.Abandon(now)
	for _, l := range o.machine.Abandon() {
		l.Discard()
	}
	o.dht.paces = o.machine.Paces(now)
}

func (o *outbound) discovers() bool {
	_, ok := o.dht.trunk.Provider(trunk.Discovery)
	return ok
}

// relay relays a message. A panic in it counts against the peer that the message came
// from, and ends no other send: relay carries out the remaining effects before the panic
// goes on.
func (o *outbound) relay(c actor.Context, m relayMessage) {
	if !m.credit.permit.TakePassed() {
		return
	}
	panicked := true
	defer func() {
		if panicked {
			carried := o.carried
			o.carried = dht.Carried{}
			o.do(c, o.machine.Mend(supervisor.Now(c), carried))
		}
	}()
	o.do(c, o.machine.Relay(supervisor.Now(c), dht.Relayed{
		From: m.Origin.Peer, Envelope: &m.Envelope, Hash: m.Hash, To: m.To, Again: m.Again, Credit: m.credit,
	}))
	panicked = false
}

// do carries out the machine's effects.
func (o *outbound) do(c actor.Context, f *dht.OutboundEffects) {
	now := supervisor.Now(c)
	o.carried.Begun = true
	o.dht.wrote(now, f)
	for _, p := range f.Progress {
		o.dht.progressed(now, &p)
		if p.Kind == dht.SendEnded && p.Reason != 0 && p.Err != nil {
			o.failed(c, p)
		}
		ledger := o.dht.Ledger
		if p.Control {
			ledger = o.dht.controls
		}
		ledger.Apply(now, p)
		o.carried.Progress++
	}
	for _, w := range f.Withdraw {
		o.dht.frames.Withdraw(w.Peer, w.ID)
		o.carried.Withdraw++
	}
	for _, w := range f.Write {
		o.dht.frames.SendUnique(c, messengers.SendBody{ID: w.ID, Peer: w.Peer, Body: w.Frame})
		o.carried.Write++
	}
	for _, d := range f.Discover {
		o.discover(c, d)
		o.carried.Discover++
	}
	for _, l := range f.Released {
		l.Discard()
		o.carried.Released++
	}
	clear(f.Released)
	f.Released = f.Released[:0] // after a panic, abandon discards the rest
	o.reached(c, f)
	o.carried = dht.Carried{}
	if !f.Wake.IsZero() {
		if o.timer != nil {
			o.timer.Stop()
		}
		o.timer = supervisor.At(c, f.Wake, sendDue{})
	}
	o.drained(c)
}

// reached tells the part that stores messages which ones their destinations have.
func (o *outbound) reached(c actor.Context, f *dht.OutboundEffects) {
	if store, ok := o.dht.trunk.Provider(dht.Store); ok {
		for _, m := range f.Reached {
			c.Send(store, m)
		}
	}
	f.Reached = f.Reached[:0]
}

// failed records why a send went to no peer.
func (o *outbound) failed(c actor.Context, p dht.Progress) {
	o.lastErr = fmt.Errorf("%s: %w", p.Reason, p.Err)
	if layer, ok := errors.AsType[*dht.LayerPanic](p.Err); ok {
		o.dht.trunk.LayerPanicked(layer.Layer, layer.Value, layer.Stack, actors.Origin{})
	}
}

func (o *outbound) discover(c actor.Context, d dht.Discover) {
	t := o.dht.trunk
	m := trunk.NewDiscoverPeer(t.System(), d.ID, d.Key, d.Until, c.Self())
	if who, ok := t.Provider(trunk.Discovery); ok {
		c.Send(who, m)
	} else {
		m.Discard()
	}
}

// drain lets accepted sends end and refuses new ones. Copies that still wait after three
// quarters of the time to the deadline fail.
func (o *outbound) drain(c actor.Context) {
	now := supervisor.Now(c)
	if left := o.dht.sendDrain.deadline.Sub(now); left > 0 {
		supervisor.At(c, now.Add(left*3/4), closeSend{})
	}
	o.do(c, o.machine.Finish(now))
}

func (o *outbound) drained(c actor.Context) {
	d := o.dht.sendDrain
	if d == nil || d.reply == nil {
		return
	}
	if sends, copies := o.machine.Len(); sends+copies == 0 {
		c.Send(d.reply, supervisor.Drained{From: c.Self()})
		d.reply = nil
	}
}

// Sending is the state of the outbound actor.
type Sending struct {
	Sends, Copies int   // under way
	Credit, Limit int64 // bytes of the node's own messages without an outcome, and their limit
	Unreached     int   // relayed messages that did not reach all their peers
	Counts        dht.OutboundCounts
	LastError     string
}

// Inspect returns a Sending.
func (o *outbound) Inspect() any { return o.sending() }

func (o *outbound) sending() Sending {
	sends, copies := o.machine.Len()
	v := Sending{Sends: sends, Copies: copies, Credit: o.dht.sendCredit.Used(), Limit: o.dht.sendCredit.Limit(), Counts: o.machine.Counts()}
	v.Unreached = o.dht.Unreached.Len()
	if o.lastErr != nil {
		v.LastError = o.lastErr.Error()
	}
	return v
}

func (o *outbound) String() string {
	n := o.machine.Counts()
	sends, copies := o.machine.Len()
	text := fmt.Sprintf("%d sends, %d relayed", n.Sends, n.Relays)
	if failed := n.RelayFailed.Total(); failed > 0 {
		text += fmt.Sprintf(", %d copies of those failed", failed)
	}
	if sends+copies > 0 {
		text += fmt.Sprintf("; %d sends under way, %d copies", sends, copies)
	}
	return text
}

// Foreign reports whether messages to the peer are paced: the peer does not run this
// library, and may ban this node for a flood.
func (d *DHT) Foreign(peer identity.NodeID) bool { return peers{d.trunk, nil}.counts(peer) }
