package safpart

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// newRandom returns a source of numbers that others cannot predict, which the machine keeps
// beyond a restart of the actor.
func newRandom(c actor.Context) *rand.Rand {
	var seed [32]byte
	_, _ = supervisor.Rand(c).Read(seed[:]) // it never fails
	return rand.New(rand.NewChaCha8(seed))
}

// delivery is an answer whose messages are being delivered.
type delivery struct {
	peer   actors.Origin
	judged saf.Judged
	first  uint64 // id of the first letter
	open   []bool // letters without outcome
	ended  []saf.Delivery
	left   int
	until  time.Time // it is given up then; later with each letter that ends
}

// deliveryLimit is how long the letters of an answer may go on without any of them ending.
// Then their handlers count as stuck, so that they do not hold up the letters of others.
const deliveryLimit = 3 * dht.StuckAfter

// lettersMost is above the number of letters in an answer, so that the ids of two answers'
// letters differ.
const lettersMost = 2 * saf.AnswerLimit

// heard handles an answer with stored messages. One that nobody waits for is dropped, and
// counts towards a flood of its source (spec: dht 8.5).
func (a *client) heard(c actor.Context, m dht.Heard) {
	peer := m.Incoming.Source
	var to uint32
	if len(m.Parts) > 0 {
		to = wire.StoredResponseTo(m.Parts[0])
	}
	if !a.f.client.machine.Open(supervisor.Now(c), peer, to) {
		c.Send(c.Sender(), dht.NewIgnoreHeard(m))
		a.plan(c)
		return
	}
	if a.f.Silent(peer) {
		a.f.setSilent(supervisor.Now(c), peer, time.Time{})
	}
	judged := a.judge.Response(supervisor.Wall(c), m.Parts)
	if judged.Violation != nil {
		c.Send(a.f.trunk.Connectivity(), base.PeerViolated{Peer: peer, Key: m.Key, Conn: m.Conn, Err: judged.Violation})
	}
	n := len(judged.Letters)
	if n == 0 {
		a.step(c, saf.Answered{Peer: peer, Judged: judged})
		return
	}
	all := make([]*dht.Incoming, n)
	for i := range judged.Letters {
		l := &judged.Letters[i]
		all[i] = &dht.Incoming{
			Now: m.Now, Wall: m.Wall, Source: peer, Key: m.Key, Envelope: l.Envelope, Hash: l.Hash,
			Origin: l.From, Parts: l.Parts, Copies: 1, Stored: true,
		}
	}
	first := a.f.trunk.NewID() * lettersMost
	d := &delivery{
		peer: actors.Origin{Peer: peer, Conn: m.Conn}, judged: judged, first: first,
		open: slices.Repeat([]bool{true}, n), ended: make([]saf.Delivery, n), left: n,
		until: supervisor.Now(c).Add(deliveryLimit),
	}
	a.deliveries = append(a.deliveries, d)
	for _, letter := range dht.NewDeliverStored(m, first, all) {
		c.Request(c.Sender(), letter)
	}
	a.watchLate(c)
}

// handled learns how the delivery of a letter has ended.
func (a *client) handled(c actor.Context, m dht.StoredHandled) {
	i := slices.IndexFunc(a.deliveries, func(d *delivery) bool {
		return m.ID >= d.first && m.ID-d.first < uint64(len(d.open))
	})
	if i < 0 {
		return
	}
	d := a.deliveries[i]
	at := m.ID - d.first
	if !d.open[at] {
		return
	}
	d.open[at] = false
	d.ended[at] = a.outcome(m.Reason, d.judged.Letters[at].Hash)
	d.until = supervisor.Now(c).Add(deliveryLimit)
	if d.left--; d.left == 0 {
		a.deliveries = slices.Delete(a.deliveries, i, i+1)
		a.answered(c, d)
	}
}

// outcome returns what became of a letter. One that counts as seen is not asked for again,
// also if no handler got it.
func (a *client) outcome(r dht.Reason, h wire.Hash) saf.Delivery {
	switch r {
	case dht.Delivered:
		return saf.Delivered
	case dht.NoHandler, dht.HandlerFailed, dht.HandlerStuck:
		return saf.Refused
	}
	if a.f.Dedup.InHand(h) {
		return saf.InHand
	}
	return saf.Duplicate
}

func (a *client) answered(c actor.Context, d *delivery) {
	a.step(c, saf.Answered{Peer: d.peer.Peer, Judged: d.judged, Deliveries: d.ended})
}

// watchLate sets the timer for letters without outcome.
func (a *client) watchLate(c actor.Context) {
	if a.late != nil || len(a.deliveries) == 0 {
		return
	}
	first := a.deliveries[0].until
	for _, d := range a.deliveries {
		if d.until.Before(first) {
			first = d.until
		}
	}
	a.late = supervisor.At(c, first, deliverLate{})
}

// giveUp ends deliveries whose handlers are stuck. Their open letters count as refused, so
// that they are asked for again.
func (a *client) giveUp(c actor.Context) {
	now := supervisor.Now(c)
	late := func(d *delivery) bool { return !d.until.After(now) }
	for i := slices.IndexFunc(a.deliveries, late); i >= 0; i = slices.IndexFunc(a.deliveries, late) {
		d := a.deliveries[i]
		a.deliveries = slices.Delete(a.deliveries, i, i+1)
		a.answered(c, d)
	}
	a.watchLate(c)
}
