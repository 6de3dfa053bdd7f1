package dht

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// outbound sends the messages of the DHT: our own, and those passed on for
// others. What it does is decided by dht.Outbound; it carries that out.
//
// In: acceptedSend and SendMessage, sendQuietly, forwardMessage, Sent,
// PeerDiscovered, event PeerConnected. Out: Enqueue to messaging sessions,
// DiscoverPeer, dht.Sent. A restart loses nothing but pongs and what is passed
// on, of which a later copy is passed on again: the pace goes on, with all that was given out counted. The ledger outlives
// it, and what was under way ends in it as in doubt, or as failed when no copy was
// given out. An orderly end under way outlives it too: the next incarnation goes
// on with it.
type outbound struct {
	dht     *DHT
	machine *dht.Outbound
	carried dht.Carried // of the effects in hand
	timer   *supervisor.Timer
	lastErr error // of a send that went to nobody
}

// sendDrain is an orderly end of all sends. It outlives the outbound actor, which
// alone uses it.
type sendDrain struct {
	reply    *actor.PID // who waits for that; nil: was told
	deadline time.Time
}

type (
	sendDue   struct{}
	closeSend struct{}
)

// NewOutbound makes the actor that sends the messages of the DHT.
func NewOutbound(d *DHT) actor.Actor { return &outbound{dht: d} }

func (o *outbound) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		o.start(c)
	case *acceptedSend:
		if o.dht.Ledger.Take(m.id) {
			o.do(c, o.machine.SendUntil(supervisor.Now(c), supervisor.Wall(c), m.id, m.message, m.until))
		}
	case SendMessage:
		o.dht.requestSend(c, m)
	case sendQuietly:
		o.do(c, o.machine.Send(supervisor.Now(c), supervisor.Wall(c), o.dht.trunk.NewID(), m.message))
	case forwardMessage:
		o.relay(c, m)
	case actors.Sent:
		o.do(c, o.machine.Sent(supervisor.Now(c), m.ID, m.Outcome))
	case actors.PeerConnected:
		o.do(c, o.machine.Connected(supervisor.Now(c), m.Peer))
	case actors.PeerDiscovered:
		o.do(c, o.machine.Discovered(supervisor.Now(c), supervisor.Wall(c), m.Token, m.Key.NodeID(), m.Err))
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
	view, t, s := peers{o.dht.trunk}, o.dht.trunk, o.dht.Settings
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
	supervisor.Subscribe[actors.PeerConnected](c)
	if o.dht.sendDrain != nil {
		o.drain(c)
	}
}

// relayLimit is how many messages of others a peer gets in 60 s: half of what a
// node like this one takes for a flood, whether or not others agree to more.
func (s *Settings) relayLimit() int {
	if s.FloodLimit <= 0 {
		return dht.RelayLimit
	}
	return max(1, min(s.FloodLimit/2, dht.RelayLimit))
}

// abandon ends what this incarnation has under way, however it ends.
func (o *outbound) abandon() {
	now := o.dht.trunk.Now()
	o.dht.Ledger.Abandon(now)
	for _, l := range o.machine.Abandon() {
		l.Discard()
	}
	o.dht.paces = o.machine.Paces(now)
}

func (o *outbound) discovers() bool {
	_, ok := o.dht.trunk.Provider(actors.Discovery)
	return ok
}

// relay passes a message on. A panic on it is charged to the peer that it came
// from and ends nothing: what it has left undone is made good.
func (o *outbound) relay(c actor.Context, m forwardMessage) {
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

// do carries out what the machine wants.
func (o *outbound) do(c actor.Context, f *dht.OutboundEffects) {
	now := supervisor.Now(c)
	o.carried.Begun = true
	for _, p := range f.Progress {
		if p.Kind == dht.SendEnded && p.Reason != 0 && p.Err != nil {
			o.failed(c, p)
		}
		o.dht.Ledger.Apply(now, p)
		o.carried.Progress++
	}
	for _, w := range f.Withdraw {
		o.dht.frames.Withdraw(w.Peer, w.ID)
		o.carried.Withdraw++
	}
	for _, w := range f.Write {
		o.dht.frames.SendUnique(c, actors.SendBody{ID: w.ID, Peer: w.Peer, Body: w.Frame})
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
	f.Released = f.Released[:0] // abandon discards what a panic has left in it
	o.carried = dht.Carried{}
	if !f.Wake.IsZero() {
		if o.timer != nil {
			o.timer.Stop()
		}
		o.timer = supervisor.At(c, f.Wake, sendDue{})
	}
	o.drained(c)
}

// failed notes why a send went to nobody.
func (o *outbound) failed(c actor.Context, p dht.Progress) {
	o.lastErr = fmt.Errorf("%s: %w", p.Reason, p.Err)
	if layer, ok := errors.AsType[*dht.LayerPanic](p.Err); ok {
		o.dht.trunk.LayerPanicked(layer.Layer, layer.Value, layer.Stack, actors.Origin{})
	}
}

func (o *outbound) discover(c actor.Context, d dht.Discover) {
	t := o.dht.trunk
	m := actors.NewDiscoverPeer(t.System(), d.ID, d.Key, d.Until, c.Self())
	if who, ok := t.Provider(actors.Discovery); ok {
		c.Send(who, m)
	} else {
		m.Discard()
	}
}

// drain lets what was accepted end. What still waits shortly before the
// deadline fails.
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

// Sending is what the outbound actor tells of itself.
type Sending struct {
	Sends, Copies int   // under way
	Credit, Limit int64 // bytes of messages of the node's own without an outcome
	Unreached     int   // messages of others that did not reach all they were for
	Counts        dht.OutboundCounts
	LastError     string
}

// Inspect tells how it is.
func (o *outbound) Inspect() any {
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
	text := fmt.Sprintf("%d sends, %d passed on", n.Sends, n.Relays)
	if failed := n.RelayFailed.Total(); failed > 0 {
		text += fmt.Sprintf(", %d copies of those failed", failed)
	}
	if sends+copies > 0 {
		text += fmt.Sprintf("; %d sends under way, %d copies", sends, copies)
	}
	return text
}

// Foreign reports whether what goes to the peer is paced, because it may take
// more for a flood.
func (d *DHT) Foreign(peer identity.NodeID) bool { return peers{d.trunk}.counts(peer) }
