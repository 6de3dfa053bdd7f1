package kad

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	rules "github.com/gamelan-p2p/gamelan/dht/kad/gateway"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// serving asks the actor store to carry out a FIND_VALUE or a STORE of a peer. It carries
// the token of the request.
type serving struct {
	in    Incoming
	token *token
	back  *actor.PID // the gateway. Reply: served
}

// Source names the peer.
func (s *serving) Source() any { return s.in.source() }

// Discard returns the token.
func (s *serving) Discard() { s.token.release() }

// served replies to serving.
type served struct {
	serving
	status  kad.Status
	record  *kad.Record // FIND_VALUE: what is stored; STORE: the newer record
	granted time.Duration
}

// Finish returns the token.
func (s *served) Finish() { s.token.release() }

// serve answers a request that the machine has let pass, or has store do so.
func (a *gateway) serve(c actor.Context, r *rules.Request, m *arrived) {
	a.x.figures.served[r.Message.Verb].Add(1)
	switch r.Message.Verb {
	case kad.FindValue:
		c.Send(a.x.store, &serving{in: m.in, token: m.pass(), back: c.Self()})
	case kad.Store:
		a.serveStore(c, m)
	default: // FindNode, and Ping of the overlay Native
		answer := kad.Message{Verb: kad.Reply}
		if r.Message.Verb == kad.FindNode {
			answer.Contacts = a.nodes(c, r, r.Message.Target)
		}
		a.step(c, &rules.Respond{Request: r, Answer: answer}, nil)
	}
}

// serveStore has store keep a record, if there is room for the work.
func (a *gateway) serveStore(c actor.Context, m *arrived) {
	if a.x.stored.work.Add(1) > MaxStores {
		a.x.stored.work.Add(-1)
		a.x.figures.busy.Add(1)
		a.respond(c, &m.in, kad.Message{Status: kad.Busy})
		return
	}
	t := m.pass()
	t.stores = &a.x.stored.work
	c.Send(a.x.store, &serving{in: m.in, token: t, back: c.Self()})
}

// served sends the answer that store has found. In the overlay Seed it is none for a STORE,
// and contacts for a value that is too long for an address without proof.
func (a *gateway) served(c actor.Context, m *served) {
	in := &m.in
	answer := kad.Message{Status: m.status, Granted: m.granted, Record: m.record}
	r := rules.Request{Packet: in.Packet, From: in.From}
	switch {
	case in.Message.Verb == kad.Store && m.status == kad.NotClose:
		answer.Contacts, answer.Record = a.nodes(c, &r, in.Message.Record.Key), nil
	case in.Message.Verb == kad.Store:
	default:
		answer.Contacts, answer.Status = a.nodes(c, &r, in.Message.Target), kad.OK
		if m.record == nil {
			answer.Status = kad.NotFound
		} else if !newerThan(m.record, &in.Message) {
			answer.Record = nil
		}
	}
	a.respond(c, in, answer)
}

// respond gives the machine the answer to a request.
func (a *gateway) respond(c actor.Context, in *Incoming, answer kad.Message) {
	answer.Verb = kad.Reply
	a.step(c, &rules.Respond{Request: &rules.Request{Packet: in.Packet, From: in.From, Group: in.Group}, Answer: answer}, nil)
}

// newerThan reports whether the asker, who told which version it has, wants the record.
func newerThan(r *kad.Record, m *kad.Message) bool {
	return m.HaveSeq == 0 && m.HaveExpires == 0 || r.Seq > m.HaveSeq || r.Seq == m.HaveSeq && r.Expires > m.HaveExpires
}

// nodes returns the contacts nearest to target, of which the machine names those that the
// asker can use: twice as many where it selects.
func (a *gateway) nodes(c actor.Context, r *rules.Request, target ID) []Contact {
	n := a.x.Params.K
	if a.g.limits.Select != nil {
		n *= 2
	}
	return a.x.view.Load().Given(supervisor.Now(c), target, n, r.From.ID)
}
