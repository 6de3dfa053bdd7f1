package kad

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/kad/gateway"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
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
func (s *serving) Source() supervisor.Source { return s.in.source() }

// Discard returns the token.
func (s *serving) Discard() { s.token.release() }

// served replies to serving.
type served struct {
	serving
	status  overlay.Status
	record  *overlay.Record // FIND_VALUE: what is stored; STORE: the newer record
	granted time.Duration
}

// Finish returns the token.
func (s *served) Finish() { s.token.release() }

// serve answers a request that the machine has let pass, or has store do so.
func (a *gatewayActor) serve(c actor.Context, r *gateway.Request, m *arrived) {
	a.x.figures.served[r.Message.Verb].Add(1)
	switch r.Message.Verb {
	case overlay.FindValue:
		c.Send(a.x.store, &serving{in: m.in, token: m.pass(), back: c.Self()})
	case overlay.Store:
		a.serveStore(c, m)
	default: // FindNode, and Ping of the overlay Native
		answer := overlay.Message{Verb: overlay.Reply}
		if r.Message.Verb == overlay.FindNode {
			answer.Contacts = a.nodes(c, r, r.Message.Target)
		}
		a.step(c, &gateway.Respond{Request: r, Answer: answer}, nil)
	}
}

// serveStore has store keep a record, if there is room for the work.
func (a *gatewayActor) serveStore(c actor.Context, m *arrived) {
	if a.x.stored.work.Add(1) > MaxStores {
		a.x.stored.work.Add(-1)
		a.x.figures.busy.Add(1)
		a.respond(c, &m.in, overlay.Message{Status: overlay.Busy})
		return
	}
	t := m.pass()
	t.stores = &a.x.stored.work
	c.Send(a.x.store, &serving{in: m.in, token: t, back: c.Self()})
}

// served sends the answer that store has found. In the overlay Seed it is none for a STORE,
// and contacts for a value that is too long for an address without proof.
func (a *gatewayActor) served(c actor.Context, m *served) {
	in := &m.in
	answer := overlay.Message{Status: m.status, Granted: m.granted, Record: m.record}
	r := gateway.Request{Packet: in.Packet, From: in.From}
	switch {
	case in.Message.Verb == overlay.Store && m.status == overlay.NotClose:
		answer.Contacts, answer.Record = a.nodes(c, &r, in.Message.Record.Key), nil
	case in.Message.Verb == overlay.Store:
	default:
		answer.Contacts, answer.Status = a.nodes(c, &r, in.Message.Target), overlay.OK
		if m.record == nil {
			answer.Status = overlay.NotFound
		} else if !newerThan(m.record, &in.Message) {
			answer.Record = nil
		}
	}
	a.respond(c, in, answer)
}

// respond gives the machine the answer to a request.
func (a *gatewayActor) respond(c actor.Context, in *Incoming, answer overlay.Message) {
	answer.Verb = overlay.Reply
	a.step(c, &gateway.Respond{Request: &gateway.Request{Packet: in.Packet, From: in.From, Group: in.Group}, Answer: answer}, nil)
}

// newerThan reports whether the asker, who told which version it has, wants the record.
func newerThan(r *overlay.Record, m *overlay.Message) bool {
	return m.HaveSeq == 0 && m.HaveExpires == 0 || r.Seq > m.HaveSeq || r.Seq == m.HaveSeq && r.Expires > m.HaveExpires
}

// nodes returns the contacts nearest to target, of which the machine names those that the
// asker can use: twice as many where it selects.
func (a *gatewayActor) nodes(c actor.Context, r *gateway.Request, target ID) []Contact {
	n := a.x.Params.K
	if a.g.limits.Select != nil {
		n *= 2
	}
	return a.x.view.Load().Given(supervisor.Now(c), target, n, r.From.ID)
}
