package kad

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/limit"
	"github.com/gamelan-p2p/gamelan/identity"
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

// serve answers a request of a peer, or has store do so.
func (a *gateway) serve(c actor.Context, m *arrived) {
	in, msg, now := &m.in, &m.in.Message, supervisor.Now(c)
	if a.x.modeNow() != Server {
		a.x.figures.refusedMode.Add(1)
		return
	}
	why, wait := a.limiter.Request(a.source(in, now), msg.Verb == kad.Store, now)
	if why != limit.Allowed {
		a.x.figures.countRefusal(string(why))
		if a.x.Overlay == kad.Native {
			a.reply(c, in, &kad.Message{Verb: kad.Reply, Status: kad.RateLimited, RetryAfter: wait})
		}
		return
	}
	a.x.figures.served[msg.Verb].Add(1)
	switch msg.Verb {
	case kad.Ping:
		a.reply(c, in, &kad.Message{Verb: a.verb(kad.Pong)})
	case kad.FindNode:
		a.reply(c, in, a.nodes(now, in, msg.Target, kad.OK))
	case kad.FindValue:
		c.Send(a.x.store, &serving{in: *in, token: m.pass(), back: c.Self()})
	case kad.Store:
		a.serveStore(c, m, now)
	}
	a.asked(c, in)
}

// serveStore has store keep a record, if there is room for the work.
func (a *gateway) serveStore(c actor.Context, m *arrived, now time.Time) {
	in := &m.in
	if a.proofs != nil && !a.proofs.Proven(in.Address, in.From.ID, now) {
		a.x.figures.countRefusal("address without proof")
		return
	}
	if a.x.stored.work.Add(1) > MaxStores {
		a.x.stored.work.Add(-1)
		a.x.figures.busy.Add(1)
		if a.x.Overlay == kad.Native {
			a.reply(c, in, &kad.Message{Verb: kad.Reply, Status: kad.Busy})
		}
		return
	}
	t := m.pass()
	t.stores = &a.x.stored.work
	c.Send(a.x.store, &serving{in: *in, token: t, back: c.Self()})
}

// served sends the answer that store has found.
func (a *gateway) served(c actor.Context, m *served) {
	in, now := &m.in, supervisor.Now(c)
	key := in.Message.Target
	if in.Message.Verb == kad.Store {
		if a.x.Overlay == kad.Seed {
			return // nobody waits for an answer
		}
		r := &kad.Message{Verb: kad.Reply, Status: m.status, Granted: m.granted, Record: m.record}
		if m.status == kad.NotClose {
			r = a.nodes(now, in, in.Message.Record.Key, kad.NotClose)
		}
		a.reply(c, in, r)
		return
	}
	switch {
	case m.record == nil:
		a.reply(c, in, a.nodes(now, in, key, kad.NotFound))
	case a.x.Overlay == kad.Seed:
		found := &kad.Message{Verb: kad.Value, Target: key, Record: m.record}
		if a.proofs != nil && a.g.limits.Size(found) > a.proofs.Room(in.Address, now) {
			a.reply(c, in, a.nodes(now, in, key, kad.OK))
			return
		}
		a.reply(c, in, found)
	default:
		r := a.nodes(now, in, key, kad.OK)
		r.Record = m.record
		if !newerThan(m.record, &in.Message) {
			r.Record = nil
		}
		a.reply(c, in, r)
	}
}

// newerThan reports whether the asker, who told which version it has, wants the record.
func newerThan(r *kad.Record, m *kad.Message) bool {
	return m.HaveSeq == 0 && m.HaveExpires == 0 || r.Seq > m.HaveSeq || r.Seq == m.HaveSeq && r.Expires > m.HaveExpires
}

// nodes returns an answer with the contacts nearest to target.
func (a *gateway) nodes(now time.Time, in *Incoming, target ID, s kad.Status) *kad.Message {
	n := a.x.Params.K
	if w := in.Message.Want; w > 0 && w < n {
		n = w
	}
	m := &kad.Message{Verb: a.verb(kad.Nodes)}
	if a.x.Overlay == kad.Native {
		m.Status = s
	}
	choose := a.g.limits.Select
	if choose == nil {
		m.Contacts = a.x.view.Load().Given(now, target, n, in.From.ID)
		return m
	}
	room := 1 << 30
	if a.proofs != nil {
		room = a.proofs.Room(in.Address, now)
	}
	m.Contacts = choose(a.x.view.Load().Given(now, target, 2*n, in.From.ID), in, n, room)
	return m
}

// verb returns what an answer is called in the client's overlay.
func (a *gateway) verb(v kad.Verb) kad.Verb {
	if a.x.Overlay == kad.Native {
		return kad.Reply
	}
	return v
}

// reply sends an answer, if the limits for bytes allow it.
func (a *gateway) reply(c actor.Context, in *Incoming, m *kad.Message) {
	m.ID, m.Sender = in.Message.ID, a.x.self
	now := supervisor.Now(c)
	if a.g.limits.Size != nil {
		size := a.g.limits.Size(m)
		if a.proofs != nil && !a.proofs.Send(in.Address, size, now) || !a.limiter.Answer(a.source(in, now), size, now) {
			a.x.figures.countRefusal("bytes")
			return
		}
	}
	if err := a.link.Send(c, Outgoing{Packet: Packet{Address: in.Address, PublicKey: in.PublicKey, Message: *m}, Answer: true}); err != nil {
		a.x.figures.countRefusal("not sent")
	}
}

// source returns the name and the kind of a sender for the limits.
func (a *gateway) source(in *Incoming, now time.Time) limit.Source {
	s := limit.Source{ID: string(in.Address), Group: in.Group}
	if in.PublicKey != (identity.PublicKey{}) {
		s.ID = string(in.PublicKey[:])
	}
	s.Unproven = a.proofs != nil && !a.proofs.Reached(in.Address, now)
	return s
}

// mayProbe reports whether a node that is not in the table may be asked for a proof that it
// is where it says, and counts the bytes if so.
func (a *gateway) mayProbe(now time.Time, m *ask) bool {
	return a.proofs == nil || a.proofs.Reached(m.route, now) || a.proofs.Probe(m.route, m.to.ID, a.g.limits.Size(&m.msg), now)
}

// mayRepeat is mayProbe for another copy of the probe.
func (a *gateway) mayRepeat(now time.Time, m *ask) bool {
	return a.proofs == nil || a.proofs.Send(m.route, a.g.limits.Size(&m.msg), now)
}
