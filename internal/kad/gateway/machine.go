package gateway

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Options configure a Machine. A zero number stands for its default, named after the
// semicolon.
type Options struct {
	Self       overlay.ID
	Overlay    overlay.Overlay
	IDLen      int           // bytes of a request's id that are random; 20 in the overlay Seed, 8 in Native
	K          int           // contacts in an answer; 20
	Rates      overlay.Rates // the zero value: [limit.SeedRates] if Unproven, else [limit.NativeRates]
	Max        int           // requests under way; 1,024
	MaxPerPeer int           // requests under way to one address; 16

	// Unproven says that anybody can invent the address that a message comes from.
	Unproven bool
	// Datagram says that a message may be lost without a word.
	Datagram bool
	// AllowPrivate keeps contacts with addresses of private networks and of this machine
	// in lists that come in.
	AllowPrivate bool
	Client       bool // serve nobody

	// Size returns the bytes of a message on the wire. It must be set if Unproven is; nil
	// means that bytes are not counted.
	Size func(*overlay.Message) int
	// Check returns an error for a message that this gateway cannot carry, or not to this
	// address. Nil: it carries all.
	Check func(to overlay.Address, m *overlay.Message) error
	// Select returns those of the contacts, nearest first, that an answer to a request may
	// hold: at most n, in at most room bytes of the whole answer. Nil: the first n.
	Select func(contacts []overlay.Contact, to *Request, n, room int) []overlay.Contact
	// Rand makes the ids of requests. They prove that an address is its sender's, so where
	// addresses can be invented nobody must be able to predict them.
	Rand overlay.Rand
}

// Machine is the state of a gateway. It is not safe for concurrent use.
type Machine struct {
	o         Options
	own       []overlay.Address
	rpc       *requests.Machine
	limiter   *limit.Limiter
	proofs    *limit.Proofs // nil unless Unproven
	firstSeen *limit.FirstSeen
	waits     waits // for peers that we asked too often
	probes    *probes
	waiting   *waiting

	asked map[requests.Ref]*overlay.Message // requests under way
	out   []Effect
}

// New returns a machine that has met nobody.
func New(o Options) *Machine {
	o.K = cmp.Or(o.K, 20)
	idLen, rates := 8, limit.NativeRates
	if o.Overlay == overlay.Seed {
		idLen = 20
	}
	if o.Unproven {
		rates = limit.SeedRates
	}
	if o.Rates == (overlay.Rates{}) {
		o.Rates = rates()
	}
	o.IDLen = cmp.Or(o.IDLen, idLen)
	m := &Machine{
		o: o,
		rpc: requests.New(requests.Options{
			Max: o.Max, MaxPerPeer: o.MaxPerPeer, LoosePong: o.Overlay == overlay.Seed, IDLen: o.IDLen, Rand: o.Rand,
		}),
		limiter: limit.NewLimiter(o.Rates), firstSeen: limit.NewFirstSeen(), waits: make(waits), waiting: newWaiting(),
		asked: make(map[requests.Ref]*overlay.Message),
	}
	if o.Unproven {
		m.proofs, m.probes = limit.NewProofs(), newProbes(o.IDLen, o.Rand)
	}
	return m
}

// SetOwn says at which addresses this node is reached through the gateway.
func (m *Machine) SetOwn(own []overlay.Address) { m.own = own }

// Len returns how many requests are under way.
func (m *Machine) Len() int { return m.rpc.Len() }

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	clear(m.out)
	m.out = m.out[:0]
	m.expire(now)
	switch e := e.(type) {
	case *Ask:
		m.ask(now, e)
	case Cancel:
		m.requests(now, requests.Cancel{Ref: e.Ref})
	case Closed:
		m.requests(now, requests.Closed{To: e.To})
	case *Received:
		m.received(now, &e.Request)
	case *Respond:
		m.respond(now, e.Request, &e.Answer)
	case Punish:
		m.limiter.Punish(e.Source, now)
	case Panicked:
		m.limiter.Panicked(e.Source, now)
	case SetClient:
		m.o.Client = e.Client
	case Due:
		m.requests(now, requests.Due{})
	}
	return m.out
}

func (m *Machine) do(e Effect) { m.out = append(m.out, e) }

func (m *Machine) drop(r *Request, why Drop) {
	m.do(Dropped{r.Address, !r.Message.Verb.IsRequest(), why})
}

// reached reports whether somebody is known to receive what is sent to the address.
func (m *Machine) reached(at overlay.Address, now time.Time) bool {
	return m.proofs == nil || m.proofs.Reached(at, now)
}

// proven reports whether the sender of a message is known to receive what is sent to its
// address.
func (m *Machine) proven(r *Request, now time.Time) bool {
	return m.proofs == nil || m.proofs.Proven(r.Address, r.From.ID, now)
}

// room returns how many bytes may be sent to an address.
func (m *Machine) room(to overlay.Address, now time.Time) int {
	if m.proofs == nil {
		return math.MaxInt
	}
	return m.proofs.Room(to, now)
}

func (m *Machine) size(message *overlay.Message) int {
	if m.o.Size == nil {
		return 0
	}
	return m.o.Size(message)
}

// ask begins a request of this node.
func (m *Machine) ask(now time.Time, e *Ask) {
	if _, ok := m.asked[e.Ref]; ok {
		m.requests(now, requests.Cancel{Ref: e.Ref})
	}
	e.Message.Sender = m.o.Self
	if m.o.Check != nil {
		if err := m.o.Check(e.To, &e.Message); err != nil {
			m.do(Lost{e.Ref, requests.Unsendable, err})
			return
		}
	}
	if left := m.waits.left(e.To, now); left > 0 {
		m.do(Lost{e.Ref, requests.Unsendable, &overlay.RateLimitedError{RetryAfter: left}})
		return
	}
	if e.Message.Verb == overlay.Store && m.o.Overlay == overlay.Seed {
		m.firstSeen.Note(e.To, now)
		e.Message.ID = overlay.RequestID(overlay.RandomID(m.o.IDLen, m.o.Rand))
		m.do(&Send{Packet: overlay.Packet{Address: e.To, Message: e.Message}, Ref: e.Ref})
		m.do(Sent{e.Ref})
		return
	}
	m.request(now, e)
}

// request gives a request to package requests, with its timeouts (spec: kad B6). A PING to an address
// whose proof will be stale soon becomes a FIND_NODE, since a PONG proves nothing.
func (m *Machine) request(now time.Time, e *Ask) {
	if e.Message.Verb == overlay.Ping && m.proofs != nil && m.proofs.Age(e.To, now) > limit.FreshLife/2 {
		e.Message.Verb, e.Message.Target = overlay.FindNode, m.o.Self
	}
	path := requests.Path{Dial: e.Dial, Tor: e.Tor, Datagram: m.o.Datagram, Seed: m.o.Unproven}
	if m.o.Unproven {
		path.Young = now.Sub(m.firstSeen.Note(e.To, now)) < requests.YoungFor
	}
	soft, hard := requests.Timeouts(e.RTT, path)
	m.asked[e.Ref] = &e.Message
	m.requests(now, requests.Ask{
		Ref: e.Ref, Verb: e.Message.Verb, To: e.To, Peer: e.Contact, Soft: soft, Hard: hard,
		Resend: !e.Once && path.Resend(e.Message.Verb),
	})
}

// requests steps the requests under way, for events that bring no answer.
func (m *Machine) requests(now time.Time, e requests.Event) {
	for _, f := range m.rpc.Step(now, e) {
		m.carryOut(f)
	}
}

// carryOut translates an effect of package requests.
func (m *Machine) carryOut(f requests.Effect) {
	switch f := f.(type) {
	case requests.Send:
		s := &Send{Packet: overlay.Packet{Address: f.To, Message: *m.asked[f.Ref]}, Ref: f.Ref, Copy: f.Copy}
		s.Message.ID, s.Message.Timeout = f.ID, f.Left
		m.do(s)
	case requests.Slow:
		m.do(Slow{f.Ref})
	case requests.Lost:
		delete(m.asked, f.Ref)
		m.do(Lost{Ref: f.Ref, Why: f.Why})
	case requests.Wake:
		m.do(Wake{f.At})
	}
}

// received takes in a message.
func (m *Machine) received(now time.Time, r *Request) {
	if r.From.ID == m.o.Self {
		m.drop(r, Own)
		return
	}
	if !r.Message.Verb.IsRequest() && m.limiter.Ignored(r.Source(), now) {
		m.drop(r, Drop(limit.Punished))
		return
	}
	if m.proofs != nil {
		m.proofs.Received(r.Address, r.Size, now)
	}
	isSeed := m.o.Overlay == overlay.Seed
	switch verb := r.Message.Verb; {
	case verb.IsRequest():
		m.serve(now, r)
	case isSeed == (verb == overlay.Pong || verb == overlay.Nodes || verb == overlay.Value):
		m.answered(now, r)
	default:
		m.drop(r, NoRequest)
	}
}

// source is the sender of a message, for the limits.
func (m *Machine) source(r *Request, now time.Time) limit.Source {
	return limit.Source{ID: r.Source(), Group: r.Group, Unproven: !m.reached(r.Address, now)}
}

// serve answers a request, or gives it to the owner.
func (m *Machine) serve(now time.Time, r *Request) {
	if m.o.Client {
		m.drop(r, ClientMode)
		return
	}
	isStore := r.Message.Verb == overlay.Store
	if why, retryAfter := m.limiter.Request(m.source(r, now), isStore, now); why != limit.Allowed {
		m.drop(r, Drop(why))
		if m.o.Overlay == overlay.Native && m.proofs == nil {
			m.reply(r, &overlay.Message{Verb: overlay.Reply, ID: r.Message.ID, Status: overlay.RateLimited, RetryAfter: retryAfter})
		}
		return
	}
	proven := m.proven(r, now)
	if proven && !r.Message.ReadOnly {
		m.do(&Seen{r.From})
	}
	m.probe(now, r) // first, so that what is left of the bytes goes to the answer
	switch {
	case r.Message.Verb == overlay.Ping && m.o.Overlay == overlay.Seed:
		m.send(now, r, &overlay.Message{Verb: overlay.Pong})
	case isStore && !proven:
		m.drop(r, StoreNoProof)
	default:
		if isStore && m.proofs != nil {
			m.proofs.Useful(r.Address)
		}
		m.do(&Serve{r})
	}
}

// respond sends the answer that the owner has found, in the form of the overlay.
func (m *Machine) respond(now time.Time, r *Request, answer *overlay.Message) {
	if m.o.Overlay == overlay.Seed && r.Message.Verb == overlay.Store {
		return
	}
	room := m.room(r.Address, now)
	if room < math.MaxInt && m.reached(r.Address, now) {
		if whole := m.answer(r, answer, math.MaxInt); m.size(whole) <= room {
			m.send(now, r, whole)
			return
		} else if !m.exchanged(r) {
			m.wait(now, r, whole)
			return
		}
	}
	m.send(now, r, m.answer(r, answer, room))
}

// exchanged reports whether a request may be the probe of a node that this node has asked
// something, and whose answer may wait for the answer to this probe. So a short one is sent at
// once.
func (m *Machine) exchanged(r *Request) bool {
	return r.Message.Verb == overlay.FindNode && r.Message.Target == r.From.ID && m.rpc.Waits(r.Address)
}

// answer returns an answer of at most room bytes, if it can be cut.
func (m *Machine) answer(r *Request, answer *overlay.Message, room int) *overlay.Message {
	n := m.o.K
	if want := r.Message.Want; want > 0 && want < n {
		n = want
	}
	list := *answer
	if m.o.Overlay == overlay.Seed {
		value := overlay.Message{Verb: overlay.Value, ID: r.Message.ID, Target: r.Message.Target, Record: answer.Record}
		if answer.Record != nil && r.Message.Verb == overlay.FindValue && m.size(&value) <= room {
			return &value
		}
		list = overlay.Message{Verb: overlay.Nodes, Contacts: answer.Contacts}
	}
	if m.o.Select != nil {
		list.Contacts = m.o.Select(list.Contacts, r, n, min(room, math.MaxInt32))
	} else {
		list.Contacts = list.Contacts[:min(len(list.Contacts), n)]
	}
	return &list
}

// send sends an answer, if the limits on bytes allow it.
func (m *Machine) send(now time.Time, r *Request, answer *overlay.Message) {
	answer.ID, answer.Sender = r.Message.ID, m.o.Self
	size := m.size(answer)
	switch {
	case m.room(r.Address, now) < size:
		m.drop(r, NoRoom)
	case !m.limiter.Answer(m.source(r, now), size, now):
		m.drop(r, OutRate)
	default:
		if m.proofs != nil {
			m.proofs.Send(r.Address, size, now)
		}
		m.reply(r, answer)
	}
}

func (m *Machine) reply(r *Request, answer *overlay.Message) {
	m.do(&Send{Packet: overlay.Packet{
		Address: r.Address, PublicKey: r.PublicKey, Substream: r.Substream, Message: *answer,
	}, Answer: true})
}

// answered takes in an answer.
func (m *Machine) answered(now time.Time, r *Request) {
	if m.probed(now, r) {
		return
	}
	for _, f := range m.rpc.Step(now, requests.Answer{ID: r.Message.ID, Verb: r.Message.Verb, From: r.Address, Peer: r.From.ID}) {
		switch f := f.(type) {
		case requests.Answered:
			m.matched(now, r, f)
		case requests.Dropped:
			m.drop(r, Drop(f.Why.String()))
			if m.o.Unproven && m.proven(r, now) { // spec: kad B15
				m.do(&Seen{r.From})
			}
		case requests.Lost:
			if f.Why == requests.Replaced && m.proofs != nil && r.Message.Verb != overlay.Pong {
				m.prove(now, r)
				m.do(&Met{Contact: r.From})
			}
			m.carryOut(f)
		default:
			m.carryOut(f)
		}
	}
}

// matched takes in an answer to a request under way. A PONG proves nothing, because nodes of
// the overlay Seed send it with an id of their own.
func (m *Machine) matched(now time.Time, r *Request, f requests.Answered) {
	request := m.asked[f.Ref]
	delete(m.asked, f.Ref)
	if r.Message.Status == overlay.RateLimited {
		m.waits.note(r.Address, r.Message.RetryAfter, now)
	}
	echoed := f.Echoed && r.Message.Verb != overlay.Pong
	if echoed && m.proofs != nil {
		m.prove(now, r)
		m.proofs.Useful(r.Address)
	}
	a := &Answered{Ref: f.Ref, Contact: r.From, Message: r.Message, Size: r.Size, Took: f.Took, Measured: f.Measured, Echoed: echoed}
	a.Message.Contacts = m.useful(r.Message.Contacts)
	if r.Message.Verb == overlay.Value && r.Message.Target != request.Target { // spec: kad A7
		m.drop(r, WrongKey)
		a.Message.Record = nil
	}
	m.do(a)
}

// useful returns those of the listed contacts that may be asked: not this node, and none
// whose addresses are all this node's own, or private where that is not allowed. It does not
// change the list.
func (m *Machine) useful(list []overlay.Contact) []overlay.Contact {
	useless := func(c overlay.Contact) bool {
		return c.ID == m.o.Self || !slices.ContainsFunc(c.Addresses, func(a overlay.Address) bool {
			return (m.o.AllowPrivate || a.Public()) && !slices.Contains(m.own, a)
		})
	}
	if !slices.ContainsFunc(list, useless) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), useless)
}
