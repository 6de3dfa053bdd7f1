package kad

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/gateway"
	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// gatewayActor sends requests of its client over one network, and answers those of others. The
// machine of package gateway decides what is sent, and what is believed of what comes in.
//
// In: ask, withdraw, arrived, served, awaitOpen, Punish, Panicked, Drain, the messages of its Link. Out: answer to the
// asker; contactAnswered, contactFailed and contactAsked to table; nodeAsked to upkeep; serving to
// store; opened; Drained. A restart loses the limits and proofs of peers; requests under way are lost,
// and their askers are told.
//
// spec: kad B6, B10, B13
type gatewayActor struct {
	g       *gate
	x       *core
	port    *Port
	link    Link
	machine *gateway.Machine
	due     wake
	open    bool
}

// flushFor is how long a gateway may take to send what it has taken, when its client closes.
const flushFor = 2 * time.Second

type (
	gatewayDue struct{}
	// flushDue: flushFor is over.
	flushDue struct{}

	// awaitOpen asks a gateway to answer when it works. Reply: opened.
	awaitOpen struct{}
	opened    struct{ err error }
)

func newGate(x *core, n int, w Network) *gate {
	g := &gate{
		core: x, n: n, network: w, limits: w.Limits(), pending: make(map[uint64]*ask),
		pid: x.host.System().NewLocalPID(x.path + "/gateways/" + strconv.Itoa(n)),
	}
	g.tokens.perPeer = MaxRequestsPerPeer
	if g.limits.Unproven {
		g.tokens.perPeer = MaxBurst
	}
	return g
}

func newGateway(g *gate) actor.Actor { return &gatewayActor{g: g, x: g.core} }

func (a *gatewayActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case *ask:
		a.ask(c, m)
	case *arrived:
		a.arrived(c, m)
	case *served:
		a.served(c, m)
	case gateway.Punish:
		a.step(c, m, nil)
	case gateway.Panicked:
		a.step(c, m, nil)
	case gatewayDue:
		a.due.fired()
		a.step(c, gateway.Due{}, nil)
	case *direct:
		m.reply = c.Sender()
		a.ask(c, &m.ask)
	case ModeSet:
		a.step(c, gateway.SetClient{Client: m.Mode == ClientOnly}, nil)
		if a.link != nil {
			a.link.Receive(c)
		}
	case withdraw:
		for _, ref := range m.refs {
			a.step(c, gateway.Cancel{Ref: requests.Ref(ref)}, nil)
		}
	case awaitOpen:
		a.awaitOpen(c)
	case supervisor.Drain:
		a.drain(c)
	case flushDue:
		a.flushed()
	default:
		if a.link == nil || !a.link.Receive(c) {
			supervisor.Unhandled(c)
		}
	}
}

func (a *gatewayActor) start(c actor.Context) {
	x, l := a.x, a.g.limits
	o := gateway.Options{
		Self: x.self, Overlay: x.Overlay, K: x.Params.K, MaxPerPeer: MaxRequestsPerPeer,
		Unproven: l.Unproven, Datagram: l.Datagram, AllowPrivate: x.AllowPrivate, Client: x.modeNow() == ClientOnly,
		Size: l.Size, Check: a.check, Rand: newSecret(supervisor.Rand(c)),
	}
	if x.Overlay == overlay.Seed {
		o.IDLen = x.idLen()
	}
	if l.Rates != nil {
		o.Rates = *l.Rates
	}
	if l.Select != nil {
		o.Select = func(contacts []Contact, to *gateway.Request, n, room int) []Contact {
			return l.Select(contacts, &Incoming{Packet: to.Packet, From: to.From, Group: to.Group}, n, room)
		}
	}
	a.machine = gateway.New(o)
	for _, p := range a.g.pending {
		p.end(c.ActorSystem(), answer{ref: p.ref, state: answerLost, why: "the gateway was restarted"})
	}
	clear(a.g.pending)
	a.flushed() // what it had taken is lost
	c.Send(x.client, gatewayStarted{a.g})
	a.port = &Port{gate: a.g, tell: supervisor.Teller(c), a: a}
	a.link = a.g.network.Open(c, a.port)
}

// check returns an error for a message that the network cannot carry.
func (a *gatewayActor) check(_ Address, m *Message) error {
	if most := a.g.limits.MaxValue; m.Verb == overlay.Store && most > 0 && len(m.Record.Value) > most {
		return &TooLarge{Size: len(m.Record.Value), Max: most, Gateway: a.g.network.Label()}
	}
	return nil
}

// opened is called by the Link.
func (a *gatewayActor) opened(own []Address) {
	a.open = true
	a.machine.SetOwn(own)
	for _, w := range a.g.waiting {
		a.x.tell(w, opened{})
	}
	a.g.waiting = nil
}

// failed is called by the Link.
func (a *gatewayActor) failed(err error) {
	if len(a.g.waiting) == 0 {
		panic(fmt.Sprintf("kad: open %s: %v", a.g.network.Label(), err))
	}
	for _, w := range a.g.waiting {
		a.x.tell(w, opened{err})
	}
	a.g.waiting = nil
}

func (a *gatewayActor) awaitOpen(c actor.Context) {
	if a.open {
		supervisor.Reply(c, opened{})
		return
	}
	a.g.waiting = append(a.g.waiting, c.Sender())
}

// drain has the Link send what it has taken: the overlay Seed confirms no STORE, so that a put
// ends before its packets have left.
func (a *gatewayActor) drain(c actor.Context) {
	a.g.drains = append(a.g.drains, c.Sender())
	f, ok := a.link.(Flusher)
	if !ok {
		a.flushed()
		return
	}
	supervisor.After(c, flushFor, flushDue{})
	f.Flush(c)
}

// flushed is called by the Link.
func (a *gatewayActor) flushed() {
	for _, to := range a.g.drains {
		a.x.tell(to, supervisor.Drained{From: a.g.pid})
	}
	a.g.drains = nil
}

// closed is called by the Link.
func (a *gatewayActor) closed(c actor.Context, to Address) { a.step(c, gateway.Closed{To: to}, nil) }

// ask sends a request.
func (a *gatewayActor) ask(c actor.Context, m *ask) {
	e := &gateway.Ask{Ref: requests.Ref(m.ref), To: m.route, Contact: m.to.ID, Message: m.msg, Once: m.once}
	e.Message.ReadOnly = a.x.modeNow() == ClientOnly
	if known := a.x.view.Load().Find(m.to.ID); known != nil {
		e.RTT = known.RTT
	}
	if w, ok := a.g.network.(Ways); ok {
		e.Dial, e.Tor = w.Way(m.to)
	} else {
		e.Dial, e.Tor = a.g.limits.Dial && e.RTT.Smoothed == 0, a.g.limits.Tor
	}
	a.g.pending[m.ref] = m
	a.step(c, e, nil)
}

// step has the machine handle an event, and carries out what it decides. m is the packet that
// the event is about, if any.
func (a *gatewayActor) step(c actor.Context, e gateway.Event, m *arrived) {
	var unsent []requests.Ref
	var serve *gateway.Request
	for _, f := range a.machine.Step(supervisor.Now(c), e) {
		switch f := f.(type) {
		case *gateway.Send:
			if !a.send(c, f) {
				unsent = append(unsent, f.Ref)
			}
		case *gateway.Serve:
			serve = f.Request
		case *gateway.Answered:
			a.answered(c, f, m)
		case gateway.Slow:
			if p := a.g.pending[uint64(f.Ref)]; p.slow {
				p.slow = false // once for all addresses
				p.end(c.ActorSystem(), answer{ref: p.ref, state: answerSlow})
			}
		case gateway.Sent:
			a.end(c, f.Ref, answer{state: answerSent})
		case gateway.Lost:
			a.lost(c, &f)
		case *gateway.Met:
			c.Send(a.x.table, &contactAnswered{
				contact: f.Contact, took: f.Took, measured: f.Measured, echoed: true, candidate: true, source: m.in.source(),
			})
			a.asked(c, f.Contact, m)
		case *gateway.Seen:
			a.asked(c, f.Contact, m)
		case gateway.Dropped:
			a.dropped(&f)
		case gateway.Wake:
			a.due.set(c, f.At, gatewayDue{})
		}
	}
	for _, ref := range unsent {
		a.step(c, gateway.Cancel{Ref: ref}, nil)
	}
	if serve != nil {
		a.serve(c, serve, m)
	}
}

// send sends a packet, and reports false for a request that could not be sent.
func (a *gatewayActor) send(c actor.Context, f *gateway.Send) bool {
	o := Outgoing{Packet: f.Packet, Answer: f.Answer}
	verb := f.Message.Verb
	if p := a.g.pending[uint64(f.Ref)]; !f.Answer && p != nil {
		o.To, o.PublicKey = p.to, p.to.PublicKey
		if f.Copy > 0 {
			a.x.figures.resent[verb].Add(1)
		}
	}
	err := a.link.Send(c, o)
	switch {
	case f.Answer && err != nil:
		a.x.figures.countRefusal("not sent")
		return true
	case f.Answer && verb == overlay.Pong:
		a.x.figures.served[overlay.Ping].Add(1)
	case !f.Answer:
		a.x.figures.sent[verb].Add(1)
	}
	if err == nil || f.Copy > 0 {
		return true
	}
	a.x.figures.lost[verb].Add(1)
	if !a.next(c, f.Ref) {
		a.end(c, f.Ref, answer{state: answerLost, why: err.Error(), err: err})
	}
	return false
}

// end tells the asker of a request what has become of it. A request that has ended before is
// left alone.
func (a *gatewayActor) end(c actor.Context, ref requests.Ref, r answer) *ask {
	p := a.g.pending[uint64(ref)]
	if p == nil {
		return nil
	}
	delete(a.g.pending, p.ref)
	r.ref = p.ref
	p.end(c.ActorSystem(), r)
	return p
}

// next has a request go to the next address of its contact, and reports false if there is none.
func (a *gatewayActor) next(c actor.Context, ref requests.Ref) bool {
	p := a.g.pending[uint64(ref)]
	if p == nil {
		return false
	}
	g, to := a.x.after(&p.to, a.g, p.route)
	if g == nil {
		return false
	}
	delete(a.g.pending, p.ref)
	again := *p
	again.route = to
	c.Send(g.pid, &again)
	return true
}

// lost ends a request without an answer, unless its contact has another address.
func (a *gatewayActor) lost(c actor.Context, f *gateway.Lost) {
	why := f.Why.String()
	if f.Err != nil {
		why = f.Err.Error()
	}
	p := a.g.pending[uint64(f.Ref)]
	if p == nil {
		return
	}
	a.x.figures.lost[p.msg.Verb].Add(1)
	if f.Why.Blames() && a.next(c, f.Ref) {
		return
	}
	a.end(c, f.Ref, answer{state: answerLost, why: why, err: f.Err})
	if f.Why.Blames() && !p.to.ID.IsZero() {
		m := contactFailed{id: p.to.ID}
		if slices.Contains(p.to.Addresses, p.route) {
			m.at = p.to.Addresses[0]
		}
		c.Send(a.x.table, m)
	}
}

// arrived handles a packet. While the client closes it serves nobody, so that what waits to be
// sent becomes less.
func (a *gatewayActor) arrived(c actor.Context, m *arrived) {
	if a.x.closing.Load() {
		return
	}
	a.x.figures.bytesIn.Add(uint64(m.in.Size))
	if key := m.in.PublicKey; !key.IsZero() && a.x.host.Banned(Contact{PublicKey: key}) {
		a.x.figures.countRefusal("banned")
		return
	}
	a.step(c, &gateway.Received{Request: gateway.Request{Packet: m.in.Packet, From: m.in.From, Group: m.in.Group}}, m)
}

// answered hands an answer to its asker, and the contact to the routing table.
func (a *gatewayActor) answered(c actor.Context, f *gateway.Answered, m *arrived) {
	p := a.g.pending[uint64(f.Ref)]
	delete(a.g.pending, p.ref)
	a.x.figures.answered[p.msg.Verb].Add(1)
	a.x.figures.took[p.msg.Verb].Add(int64(f.Took))
	peer := f.Contact
	if len(peer.Addresses) == 0 || peer.ID == p.to.ID && peer.Stamp < p.to.Stamp {
		peer = p.to
	}
	peer = peer.ReachedAt(p.route)
	source := m.in.source()
	if len(peer.Addresses) > 0 && !peer.ID.IsZero() {
		c.Send(a.x.table, &contactAnswered{
			contact: peer, took: f.Took, measured: f.Measured, echoed: f.Echoed, candidate: p.candidate, source: source,
		})
	}
	if p.reply == nil {
		return
	}
	c.Send(p.reply, &answer{
		ref: p.ref, state: answered, peer: peer, msg: &f.Message, size: f.Size, took: f.Took, source: source, sys: c.ActorSystem(), to: p.reply,
	})
}

// asked tells the table of a node that has asked this one something, unless it knows it.
func (a *gatewayActor) asked(c actor.Context, who Contact, m *arrived) {
	if len(who.Addresses) == 0 || who.ID.IsZero() {
		return
	}
	if State(a.x.state.Load()) != Ready {
		c.Send(a.x.upkeep, &nodeAsked{who, m.in.source()})
	}
	if e := a.x.view.Load().Find(who.ID); e != nil && slices.Contains(e.Contact.Addresses, who.Addresses[0]) {
		return
	}
	c.Send(a.x.table, &contactAsked{who, m.in.source()})
}

// dropped counts a packet that was not used.
func (a *gatewayActor) dropped(f *gateway.Dropped) {
	switch {
	case f.Answer:
		a.x.figures.unsolicited.Add(1)
	case f.Why == gateway.ClientMode:
		a.x.figures.refusedMode.Add(1)
	default:
		a.x.figures.countRefusal(string(f.Why))
	}
}

// String is the gateway's line in the tree.
func (a *gatewayActor) String() string {
	state := "opening"
	if a.open {
		state = "open"
	}
	n, waiting := 0, 0
	if a.machine != nil {
		n, waiting = a.machine.Len(), a.machine.Waiting()
	}
	served, _ := a.g.tokens.held()
	line := fmt.Sprintf("%s: %s, %s under way, %s of others in progress", a.g.network.Label(), state,
		inspect.Count(uint64(n), "request"), inspect.Count(uint64(served), "request"))
	if waiting > 0 {
		line += fmt.Sprintf(", %s until the address is proven", inspect.Count(uint64(waiting), "answer"))
	}
	return line
}
