package kad

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/limit"
	"github.com/gamelan-p2p/gamelan/dht/kad/rpc"
	"github.com/gamelan-p2p/gamelan/dht/kad/upkeep"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// gateway sends requests of its client over one network, and answers those of others. The
// machine rpc.Machine keeps the requests under way.
//
// In: ask, arrived, served, awaitOpen, the messages of its Link. Out: answer to the asker;
// contactAnswered, contactFailed and contactAsked to table; nodeAsked to upkeep; serving to
// store; opened. A restart loses the limits and proofs of peers; requests under way are lost,
// and their askers are told.
//
// spec: kad B6, B10, B13
type gateway struct {
	g       *gate
	x       *core
	port    *Port
	link    Link
	rpc     *rpc.Machine
	limiter *limit.Limiter
	proofs  *limit.Proofs // nil: nobody can invent addresses here
	due     wake
	open    bool
	waiting []*actor.PID // they want to know when it is open
}

type (
	gatewayDue struct{}

	// awaitOpen asks a gateway to answer when it works. Reply: opened.
	awaitOpen struct{}
	opened    struct{ err error }
)

func newGate(x *core, n int, w Network) *gate {
	return &gate{
		core: x, n: n, network: w, limits: w.Limits(), pending: make(map[uint64]*ask),
		pid: x.host.System().NewLocalPID(x.path + "/gateways/" + strconv.Itoa(n)),
	}
}

func newGateway(g *gate) actor.Actor { return &gateway{g: g, x: g.core} }

func (a *gateway) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case *ask:
		a.ask(c, m)
	case *arrived:
		a.arrived(c, m)
	case *served:
		a.served(c, m)
	case gatewayDue:
		a.due.fired()
		a.step(c, rpc.Due{})
	case *direct:
		m.reply = c.Sender()
		a.ask(c, &m.ask)
	case ModeSet: // for the Link; the core has the mode
		if a.link != nil {
			a.link.Receive(c)
		}
	case awaitOpen:
		a.awaitOpen(c)
	default:
		if a.link == nil || !a.link.Receive(c) {
			supervisor.Unhandled(c)
		}
	}
}

func (a *gateway) start(c actor.Context) {
	o := rpc.Options{Rand: supervisor.Rand(c), IDLen: a.x.idLen(), LoosePong: a.x.Overlay == kad.Seed, MaxPerPeer: MaxRequestsPerPeer}
	if a.x.Overlay == kad.Native {
		o.IDLen = 8 // the wire has a number
	}
	a.rpc = rpc.New(o)
	rates := limit.NativeRates()
	if a.x.Overlay == kad.Seed {
		rates = limit.SeedRates()
	}
	if a.g.limits.Rates != nil {
		rates = *a.g.limits.Rates
	}
	a.limiter = limit.NewLimiter(rates)
	if a.g.limits.Unproven {
		a.proofs = limit.NewProofs()
	}
	for _, p := range a.g.pending {
		p.end(c.ActorSystem(), answer{ref: p.ref, state: answerLost, why: "the gateway was restarted"})
	}
	clear(a.g.pending)
	a.port = &Port{gate: a.g, tell: supervisor.Teller(c), a: a}
	a.link = a.g.network.Open(c, a.port)
}

// opened is called by the Link.
func (a *gateway) opened() {
	a.open = true
	for _, w := range a.waiting {
		a.x.tell(w, opened{})
	}
	a.waiting = nil
}

// failed is called by the Link.
func (a *gateway) failed(err error) {
	if len(a.waiting) == 0 {
		panic(fmt.Sprintf("kad: open %s: %v", a.g.network.Label(), err))
	}
	for _, w := range a.waiting {
		a.x.tell(w, opened{err})
	}
	a.waiting = nil
}

func (a *gateway) awaitOpen(c actor.Context) {
	if a.open {
		supervisor.Reply(c, opened{})
		return
	}
	a.waiting = append(a.waiting, c.Sender())
}

// closed is called by the Link.
func (a *gateway) closed(c actor.Context, to Address) { a.step(c, rpc.Closed{To: to}) }

// ask sends a request.
func (a *gateway) ask(c actor.Context, m *ask) {
	sys := c.ActorSystem()
	lose := func(why string, err error) {
		a.x.figures.lost[m.msg.Verb].Add(1)
		m.end(sys, answer{ref: m.ref, state: answerLost, why: why, err: err})
	}
	if most := a.g.limits.MaxValue; m.msg.Record != nil && most > 0 && len(m.msg.Record.Value) > most {
		lose("the value is too long", &TooLarge{Size: len(m.msg.Record.Value), Max: most, Gateway: a.g.network.Label()})
		return
	}
	now := supervisor.Now(c)
	if m.candidate && !a.mayProbe(now, m) {
		lose("its address is not proven", nil)
		return
	}
	if a.x.Overlay == kad.Seed && m.msg.Verb == kad.Store { // nobody answers
		id := kad.RequestID(kad.RandomID(a.x.idLen(), supervisor.Rand(c)))
		if err := a.send(c, m, id, 0); err != nil {
			lose(err.Error(), err)
			return
		}
		m.end(sys, answer{ref: m.ref, state: answerSent})
		return
	}
	var rtt rpc.RTT
	path := rpc.Path{Dial: a.g.limits.Dial, Tor: a.g.limits.Tor, Datagram: a.g.limits.Datagram, Seed: a.x.Overlay == kad.Seed}
	if e := a.x.view.Load().Find(m.to.ID); e != nil {
		rtt = e.RTT
		path.Young = now.Sub(e.Since) < rpc.YoungFor
		path.Dial = path.Dial && rtt.Smoothed == 0
	} else {
		path.Young = true
	}
	soft, hard := rpc.Timeouts(rtt, path)
	a.g.pending[m.ref] = m
	a.step(c, rpc.Ask{
		Ref: rpc.Ref(m.ref), Verb: m.msg.Verb, To: m.route, Peer: m.to.ID, Soft: soft, Hard: hard, Resend: path.Resend(m.msg.Verb),
	})
}

// step has the machine handle an event, and carries out what it decides.
func (a *gateway) step(c actor.Context, e rpc.Event) {
	var unsent []uint64
	for _, f := range a.rpc.Step(supervisor.Now(c), e) {
		switch f := f.(type) {
		case rpc.Send:
			if !a.transmit(c, &f) {
				unsent = append(unsent, uint64(f.Ref))
			}
		case rpc.Slow:
			if p := a.g.pending[uint64(f.Ref)]; p.slow {
				p.end(c.ActorSystem(), answer{ref: p.ref, state: answerSlow})
			}
		case rpc.Lost:
			a.lost(c, uint64(f.Ref), f.Why)
		case rpc.Wake:
			a.due.set(c, f.At, gatewayDue{})
		}
	}
	for _, ref := range unsent {
		a.step(c, rpc.Cancel{Ref: rpc.Ref(ref)})
	}
}

// transmit sends a request that the machine wants to be sent, and reports whether that
// failed for the first copy.
func (a *gateway) transmit(c actor.Context, f *rpc.Send) bool {
	p := a.g.pending[uint64(f.Ref)]
	if f.Copy > 0 {
		if p.candidate && !a.mayRepeat(supervisor.Now(c), p) {
			return true
		}
		a.x.figures.resent[p.msg.Verb].Add(1)
	}
	err := a.send(c, p, f.ID, f.Left)
	if err == nil || f.Copy > 0 {
		return true
	}
	delete(a.g.pending, p.ref)
	a.x.figures.lost[p.msg.Verb].Add(1)
	p.end(c.ActorSystem(), answer{ref: p.ref, state: answerLost, why: err.Error(), err: err})
	return false
}

func (a *gateway) send(c actor.Context, m *ask, id kad.RequestID, left time.Duration) error {
	msg := m.msg
	msg.ID, msg.Sender, msg.Timeout = id, a.x.self, left
	msg.ReadOnly = a.x.modeNow() == ClientOnly
	a.x.figures.sent[msg.Verb].Add(1)
	return a.link.Send(c, Outgoing{Packet: Packet{Address: m.route, PublicKey: m.to.PublicKey, Message: msg}, To: m.to})
}

// lost ends a request without an answer.
func (a *gateway) lost(c actor.Context, ref uint64, why rpc.Reason) {
	p := a.g.pending[ref]
	if p == nil { // it was not sent
		return
	}
	delete(a.g.pending, ref)
	a.x.figures.lost[p.msg.Verb].Add(1)
	if why.Blames() && !p.to.ID.IsZero() {
		m := contactFailed{id: p.to.ID}
		if len(p.to.Addresses) > 0 && p.to.Addresses[0] == p.route {
			m.at = p.route
		}
		c.Send(a.x.table, m)
	}
	p.end(c.ActorSystem(), answer{ref: ref, state: answerLost, why: why.String()})
}

// arrived handles a packet.
func (a *gateway) arrived(c actor.Context, m *arrived) {
	a.x.figures.bytesIn.Add(uint64(m.in.Size))
	if a.proofs != nil {
		a.proofs.Received(m.in.Address, m.in.Size, supervisor.Now(c))
	}
	if m.in.Message.Verb.IsRequest() {
		a.serve(c, m)
		return
	}
	a.answer(c, &m.in)
}

// answer takes in an answer.
func (a *gateway) answer(c actor.Context, in *Incoming) {
	now := supervisor.Now(c)
	for _, f := range a.rpc.Step(now, rpc.Answer{ID: in.Message.ID, Verb: in.Message.Verb, From: in.Address, Peer: in.From.ID}) {
		switch f := f.(type) {
		case rpc.Answered:
			a.matched(c, in, &f)
		case rpc.Dropped:
			a.x.figures.unwanted.Add(1)
		case rpc.Wake:
			a.due.set(c, f.At, gatewayDue{})
		}
	}
}

// matched hands an answer to its asker, and the contact to the routing table.
func (a *gateway) matched(c actor.Context, in *Incoming, f *rpc.Answered) {
	p := a.g.pending[uint64(f.Ref)]
	delete(a.g.pending, p.ref)
	a.x.figures.answered[p.msg.Verb].Add(1)
	if a.proofs != nil && f.Echoed && (in.Message.Verb == kad.Nodes || in.Message.Verb == kad.Value) {
		a.proofs.Prove(in.Address, in.From.ID, supervisor.Now(c))
	}
	peer := in.From
	if len(peer.Addresses) == 0 || peer.ID == p.to.ID && peer.Stamp < p.to.Stamp {
		peer = p.to
	}
	source := in.source()
	if len(peer.Addresses) > 0 && !peer.ID.IsZero() {
		c.Send(a.x.table, &contactAnswered{
			contact: peer, took: f.Took, measured: f.Measured, echoed: f.Echoed, candidate: p.candidate, source: source,
		})
	}
	if p.reply == nil {
		return
	}
	c.Send(p.reply, &answer{
		ref: p.ref, state: answered, peer: peer, msg: &in.Message, size: in.Size, took: f.Took, source: source, sys: c.ActorSystem(), to: p.reply,
	})
}

// asked tells the table of a node that has asked this one something, unless it knows it.
func (a *gateway) asked(c actor.Context, in *Incoming) {
	if len(in.From.Addresses) == 0 || in.From.ID.IsZero() || in.From.ID == a.x.self {
		return
	}
	if upkeep.State(a.x.state.Load()) == upkeep.Isolated && !in.Message.ReadOnly {
		c.Send(a.x.upkeep, &nodeAsked{in.From, in.source()})
	}
	if e := a.x.view.Load().Find(in.From.ID); e != nil && e.Contact.Addresses[0] == in.From.Addresses[0] {
		return
	}
	c.Send(a.x.table, &contactAsked{in.From, in.Message.ReadOnly, in.source()})
}

// String is the gateway's line in the tree.
func (a *gateway) String() string {
	state := "opening"
	if a.open {
		state = "open"
	}
	n := 0
	if a.rpc != nil {
		n = a.rpc.Len()
	}
	requests, _ := a.g.tokens.held()
	return fmt.Sprintf("%s: %s, %s under way, %s of others in work", a.g.network.Label(), state,
		inspect.Count(uint64(n), "request"), inspect.Count(uint64(requests), "request"))
}
