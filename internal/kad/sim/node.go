package sim

import (
	"math/rand/v2"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/put"
	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/internal/kad/table"
	"github.com/gamelan-p2p/gamelan/internal/kad/upkeep"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// node is one node: the machines, and what the actors would do around them.
type node struct {
	net      *network
	id       overlay.ID
	addr     overlay.Address
	place    int
	number   uint32
	born     time.Duration
	gone     bool
	colluder bool
	client   bool

	table  *table.Table
	rpc    *requests.Machine
	upkeep *upkeep.Machine
	store  *holder
	wakes  [timers]time.Duration // when each machine wants to be woken; -1: never

	ops   map[requests.Ref]*op
	last  requests.Ref
	queue []any // effects that wait for their turn
	busy  bool
}

// op is what a request is for.
type op struct {
	contact   overlay.Contact
	msg       overlay.Message
	cause     cause
	candidate bool
	once      bool                                              // it is not repeated
	ended     func(answer *overlay.Message, took time.Duration) // nil of no answer; nil: nobody wants to know
	slow      func()
}

func newNode(w *network, id overlay.ID, addr overlay.Address) *node {
	n := &node{born: w.now, net: w, id: id, addr: addr, ops: make(map[requests.Ref]*op)}
	random := rand.New(rand.NewPCG(w.rand.Uint64(), w.rand.Uint64()))
	for i := range n.wakes {
		n.wakes[i] = -1
	}
	n.table = table.New(id, table.Options{K: w.c.K, Rand: random})
	n.rpc = requests.New(requests.Options{Rand: random})
	n.upkeep = upkeep.New(id, upkeep.Options{View: n.table.View, Rand: random})
	n.store = newHolder(n)
	return n
}

func (n *node) start(introduced []overlay.Address) {
	n.do(n.upkeep.Step(n.net.time(), upkeep.Start{Bootstrap: introduced}))
	n.drain()
}

// contact returns what the node tells others of itself.
func (n *node) contact() overlay.Contact {
	return overlay.Contact{ID: n.id, Addresses: []overlay.Address{n.addr}}
}

// do lets effects wait for their turn: a machine must not be called while the effects of
// its last step are being carried out.
func (n *node) do(effects any) {
	switch list := effects.(type) {
	case []table.Effect:
		for _, e := range list {
			n.queue = append(n.queue, e)
		}
	case []requests.Effect:
		for _, e := range list {
			n.queue = append(n.queue, e)
		}
	case []upkeep.Effect:
		for _, e := range list {
			n.queue = append(n.queue, e)
		}
	}
}

// drain carries out all effects.
func (n *node) drain() {
	if n.busy {
		return
	}
	n.busy = true
	for i := 0; i < len(n.queue); i++ {
		n.carryOut(n.queue[i])
	}
	clear(n.queue)
	n.queue, n.busy = n.queue[:0], false
}

func (n *node) carryOut(effect any) {
	now := n.net.time()
	switch e := effect.(type) {
	case func():
		e()
	case table.Probe:
		verb, why := overlay.Ping, liveness
		if e.Candidate {
			verb, why = overlay.FindNode, candidates
		}
		n.ask(&op{contact: e.Contact, msg: overlay.Message{Verb: verb, Target: n.id}, cause: why, candidate: e.Candidate})
	case table.Added:
		n.do(n.upkeep.Step(now, upkeep.Added{Contact: e.Contact}))
	case table.Removed:
		n.do(n.upkeep.Step(now, upkeep.Removed{Contact: e.Contact, Lived: e.Lived, Banned: e.Why == table.Ban}))
	case table.Wake:
		n.wake(tableDue, e.At)

	case requests.Send:
		x := n.ops[e.Ref]
		msg := x.msg
		msg.ID, msg.Timeout = e.ID, e.Left
		n.net.send(n, e.To, msg, true, x.cause, e.Copy)
	case requests.Slow:
		if x := n.ops[e.Ref]; x.slow != nil {
			x.slow()
		}
	case requests.Lost:
		x := n.ops[e.Ref]
		delete(n.ops, e.Ref)
		if e.Why.Blames() && !x.contact.ID.IsZero() {
			n.do(n.table.Step(now, table.Failed{ID: x.contact.ID, Address: x.contact.Addresses[0]}))
		}
		if x.ended != nil {
			x.ended(nil, 0)
		}
	case requests.Wake:
		n.wake(rpcDue, e.At)

	case upkeep.Probe:
		n.ask(&op{
			contact: e.Contact, msg: overlay.Message{Verb: overlay.FindNode, Target: n.id}, cause: former, once: e.Once(),
			ended: func(m *overlay.Message, _ time.Duration) {
				n.do(n.upkeep.Step(n.net.time(), upkeep.Probed{Contact: e.Contact, Answered: m != nil}))
			},
		})
	case upkeep.Lookup:
		why := rangeLookup
		if e.Why == upkeep.ForSelf {
			why = ownLookup
		}
		n.search(e.Target, lookup.Options{}, why, nil)
	case upkeep.Joined:
		n.do(n.table.Step(now, table.Joined{}))
	case upkeep.Churn:
		n.do(n.table.Step(now, table.Churn{HalfLife: e.HalfLife}))
	case upkeep.Replicate:
		n.store.replicate(e.Key)
	case upkeep.Publish:
		n.store.publish(e.Key)
	case upkeep.Wake:
		n.wake(upkeepDue, e.At)
	}
}

func (n *node) wake(t timer, at time.Time) {
	when := max(at.Sub(epoch), n.net.now)
	n.wakes[t] = when
	n.net.plan(when, event{node: n, timer: t})
}

// due wakes a machine.
func (n *node) due(t timer) {
	now := n.net.time()
	switch t {
	case tableDue:
		n.do(n.table.Step(now, table.Due{}))
	case rpcDue:
		n.do(n.rpc.Step(now, requests.Due{}))
	case upkeepDue:
		n.do(n.upkeep.Step(now, upkeep.Due{}))
	}
	n.drain()
}

// ask sends a request.
func (n *node) ask(x *op) {
	n.last++
	x.msg.ReadOnly = n.client
	n.ops[n.last] = x
	var rtt overlay.RTT
	if e := n.table.View().Find(x.contact.ID); e != nil {
		rtt = e.RTT
	}
	path := requests.Path{Datagram: true}
	soft, hard := requests.Timeouts(rtt, path)
	n.do(n.rpc.Step(n.net.time(), requests.Ask{
		Ref: n.last, Verb: x.msg.Verb, To: x.contact.Addresses[0], Peer: x.contact.ID, Soft: soft, Hard: hard,
		Resend: !x.once && path.Resend(x.msg.Verb),
	}))
}

// receive takes in a packet.
func (n *node) receive(p *packet) {
	if p.request {
		n.serve(p)
	} else {
		n.answered(p)
	}
	n.drain()
}

// answered takes in an answer.
func (n *node) answered(p *packet) {
	now := n.net.time()
	effects := n.rpc.Step(now, requests.Answer{ID: p.msg.ID, Verb: p.msg.Verb, From: p.from.addr, Peer: p.from.id})
	n.do(effects)
	for _, e := range effects {
		a, ok := e.(requests.Answered)
		if !ok {
			continue
		}
		x := n.ops[a.Ref]
		delete(n.ops, a.Ref)
		n.do(n.table.Step(now, table.Answered{
			Contact: p.from.contact(), Took: a.Took, Measured: a.Measured, Echoed: a.Echoed, Candidate: x.candidate,
		}))
		if x.ended != nil {
			x.ended(&p.msg, a.Took)
		}
		return
	}
}

// serve answers a request.
func (n *node) serve(p *packet) {
	if n.client {
		return
	}
	now := n.net.time()
	m := &p.msg
	answer := overlay.Message{Verb: overlay.Reply, ID: m.ID}
	switch {
	case n.colluder:
		n.collude(m, &answer)
	case m.Verb == overlay.FindNode:
		answer.Contacts = n.table.View().Given(now, m.Target, n.net.c.K, p.from.id)
	case m.Verb == overlay.FindValue:
		if answer.Record = n.store.read(m.Target); answer.Record == nil {
			answer.Status = overlay.NotFound
			answer.Contacts = n.table.View().Given(now, m.Target, n.net.c.K, p.from.id)
		}
	case m.Verb == overlay.Store:
		answer.Status, answer.Granted = n.store.accept(m, p.from)
		if answer.Status == overlay.NotClose {
			answer.Contacts = n.table.View().Given(now, m.Record.Key, n.net.c.K, p.from.id)
		}
	}
	n.net.send(n, p.from.addr, answer, false, p.cause, 0)
	n.do(n.table.Step(now, table.Asked{Contact: p.from.contact(), ReadOnly: m.ReadOnly}))
	if !m.ReadOnly {
		n.do(n.upkeep.Step(now, upkeep.Asked{Contact: p.from.contact()}))
	}
}

// collude answers as one of a group whose nodes name only each other.
func (n *node) collude(m *overlay.Message, answer *overlay.Message) {
	switch m.Verb {
	case overlay.FindNode, overlay.FindValue:
		for _, x := range n.net.nodes {
			if x != nil && !x.gone && x.colluder && x != n {
				answer.Contacts = append(answer.Contacts, x.contact())
			}
		}
		overlay.SortByDistance(m.Target, answer.Contacts)
		answer.Contacts = answer.Contacts[:min(len(answer.Contacts), n.net.c.K)]
	case overlay.Store:
		answer.Granted = time.Hour
	}
}

// search runs a lookup with the network's K and Alpha. ended gets its result.
func (n *node) search(target overlay.ID, o lookup.Options, why cause, ended func(overlay.LookupResult)) {
	view := n.table.View()
	o.K, o.Alpha, o.Exclude, o.Spread = n.net.c.K, n.net.c.Alpha, []overlay.ID{n.id}, view.Spread
	l := lookup.New(target, o)
	verb := overlay.FindNode
	if o.Mode != lookup.ForNodes {
		verb = overlay.FindValue
	}
	var step func(lookup.Event)
	step = func(e lookup.Event) {
		for _, f := range l.Step(n.net.time(), e) {
			switch f := f.(type) {
			case lookup.Ask:
				id := f.Contact.ID
				n.queue = append(n.queue, func() {
					n.ask(&op{
						contact: f.Contact, msg: overlay.Message{Verb: verb, Target: target}, cause: why,
						slow: func() { step(lookup.Slow{Peer: id}) },
						ended: func(m *overlay.Message, took time.Duration) {
							if m == nil {
								step(lookup.Lost{Peer: id})
								return
							}
							step(lookup.Answered{Peer: id, Took: took, Contacts: m.Contacts, Record: m.Record, Size: sizeOf(m)})
						},
					})
				})
			case lookup.Blame:
				n.queue = append(n.queue, func() {
					n.do(n.table.Step(n.net.time(), table.Blamed{ID: f.Peer, Mild: f.Why == lookup.NoNearer}))
				})
			case lookup.Wake:
				n.net.plan(f.At.Sub(epoch), event{timer: calls, do: func() {
					if !n.gone && !l.Ended() {
						step(lookup.Due{})
						n.drain()
					}
				}})
			case lookup.Done:
				n.queue = append(n.queue, func() {
					n.do(n.upkeep.Step(n.net.time(), upkeep.LookedUp{Target: target, Nearest: f.Result.Nearest}))
					if ended != nil {
						ended(f.Result)
					}
				})
			}
		}
	}
	step(lookup.Start{Contacts: view.Nearest(target, n.net.c.K)})
}

// storeAt stores a record at contacts. ended gets the report.
func (n *node) storeAt(r *overlay.Record, ttl time.Duration, contacts []overlay.Contact, why cause, ended func(overlay.Report, error)) {
	p := put.New(r.Key, contacts, put.Options{K: n.net.c.K, Alpha: n.net.c.Alpha})
	var step func(put.Event)
	step = func(e put.Event) {
		for _, f := range p.Step(e) {
			switch f := f.(type) {
			case put.Store:
				id := f.Contact.ID
				n.queue = append(n.queue, func() {
					n.ask(&op{
						contact: f.Contact, msg: overlay.Message{Verb: overlay.Store, Record: r, TTL: ttl}, cause: why,
						ended: func(m *overlay.Message, _ time.Duration) {
							if m == nil {
								step(put.Lost{Peer: id})
								return
							}
							step(put.Replied{Peer: id, Status: m.Status, Granted: m.Granted})
						},
					})
				})
			case put.Done:
				n.queue = append(n.queue, func() { ended(f.Report, f.Err) })
			}
		}
	}
	step(put.Start{})
}
