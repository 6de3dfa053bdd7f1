package requests

import (
	"cmp"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/queue"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Options configure a Machine. A zero number stands for its default, named after the
// semicolon.
//
// spec: kad B11, B13
type Options struct {
	Max        int // requests under way; 1,024
	MaxPerPeer int // requests under way to one address; 16
	// LoosePong lets a Pong with any id answer a Ping to its address: a seed node
	// answers so.
	LoosePong bool
	// IDLen is how many bytes of an id are random: as many as the wire carries; 20.
	IDLen int
	// Rand makes the ids. It must be set. Ids prove that an address is its sender's, so on
	// a network nobody must be able to predict them.
	Rand overlay.Rand
}

// Machine keeps the requests under way. It is not safe for concurrent use.
type Machine struct {
	o Options

	byID    map[overlay.RequestID]*request
	byRef   map[Ref]*request
	perPeer map[overlay.Address]int
	proving map[overlay.Address]int // of perPeer, those whose answers prove the address
	queue   queue.Queue[*request]   // by the time at which something is to be done
	count   uint64

	wake time.Time // the last Wake; zero: none is wanted
	out  []Effect
}

// request is a request under way.
type request struct {
	ask   Ask
	id    overlay.RequestID
	begun time.Time
	count uint64 // in the order of asking
	at    time.Time
	place int // in the queue
	sent  int
	slow  bool
}

// New returns a machine without requests.
func New(o Options) *Machine {
	o.Max = cmp.Or(o.Max, 1024)
	o.MaxPerPeer = cmp.Or(o.MaxPerPeer, 16)
	o.IDLen = cmp.Or(o.IDLen, 20)
	return &Machine{
		o: o, byID: make(map[overlay.RequestID]*request), byRef: make(map[Ref]*request), perPeer: make(map[overlay.Address]int), proving: make(map[overlay.Address]int),
		queue: queue.New(sooner, func(r *request) *int { return &r.place }),
	}
}

// Len returns how many requests are under way.
func (m *Machine) Len() int { return len(m.byID) }

// Waits reports whether a request to an address is under way whose answer proves the address:
// one that is no Ping.
func (m *Machine) Waits(to overlay.Address) bool { return m.proving[to] > 0 }

func (a *Ask) proves() bool { return a.Verb == overlay.FindNode || a.Verb == overlay.FindValue }

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	clear(m.out)
	m.out = m.out[:0]
	switch e := e.(type) {
	case Ask:
		m.ask(now, e)
	case Answer:
		m.answer(now, e)
	case Closed:
		m.closed(e.To)
	case Cancel:
		if r := m.byRef[e.Ref]; r != nil {
			m.lose(r, Cancelled)
		}
	case Due:
		m.wake = time.Time{}
		m.due(now)
	}
	m.askWake()
	return m.out
}

func (m *Machine) do(e Effect) { m.out = append(m.out, e) }

func (m *Machine) ask(now time.Time, e Ask) {
	if r := m.byRef[e.Ref]; r != nil {
		m.lose(r, Superseded)
	}
	switch {
	case len(m.byID) >= m.o.Max:
		m.do(Lost{e.Ref, Full})
		return
	case m.perPeer[e.To] >= m.o.MaxPerPeer:
		m.do(Lost{e.Ref, Busy})
		return
	}
	m.count++
	r := &request{ask: e, id: m.newID(), begun: now, count: m.count, at: now.Add(min(e.Soft, e.Hard))}
	m.byID[r.id], m.byRef[e.Ref] = r, r
	m.perPeer[e.To]++
	if e.proves() {
		m.proving[e.To]++
	}
	m.queue.Add(r)
	m.send(now, r)
}

// newID returns an id that no request under way has.
func (m *Machine) newID() (id overlay.RequestID) {
	for {
		id = overlay.RequestID(overlay.RandomID(m.o.IDLen, m.o.Rand))
		if m.byID[id] == nil {
			return id
		}
	}
}

func (m *Machine) send(now time.Time, r *request) {
	m.do(Send{Ref: r.ask.Ref, ID: r.id, To: r.ask.To, Left: r.begun.Add(r.ask.Hard).Sub(now), Copy: r.sent})
	r.sent++
}

// answer finds the request of an answer.
func (m *Machine) answer(now time.Time, e Answer) {
	r, echoed := m.byID[e.ID], true
	if r == nil && m.o.LoosePong && e.Verb == overlay.Pong {
		r, echoed = m.pinged(e), false
	}
	switch {
	case r == nil:
		m.do(Dropped{NoRequest})
	case r.ask.To != e.From:
		m.do(Dropped{ForeignAddr})
	case !r.ask.Peer.IsZero() && r.ask.Peer != e.Peer:
		m.do(Dropped{ForeignPeer})
		if m.o.LoosePong { // a seed node has another id after a start
			m.lose(r, Replaced)
		}
	case !e.Verb.Answers(r.ask.Verb):
		m.do(Dropped{ForeignVerb})
	default:
		m.remove(r)
		m.do(Answered{Ref: r.ask.Ref, Peer: e.Peer, Took: now.Sub(r.begun), Measured: r.sent == 1, Echoed: echoed})
	}
}

// pinged returns the oldest Ping under way to the sender of a Pong.
func (m *Machine) pinged(e Answer) (oldest *request) {
	for _, r := range m.queue.All() {
		if r.ask.Verb == overlay.Ping && r.ask.To == e.From && (r.ask.Peer.IsZero() || r.ask.Peer == e.Peer) &&
			(oldest == nil || r.count < oldest.count) {
			oldest = r
		}
	}
	return oldest
}

func (m *Machine) closed(to overlay.Address) {
	if m.perPeer[to] == 0 {
		return
	}
	for {
		var oldest *request
		for _, r := range m.queue.All() {
			if r.ask.To == to && (oldest == nil || r.count < oldest.count) {
				oldest = r
			}
		}
		if oldest == nil {
			return
		}
		m.lose(oldest, Broken)
	}
}

func (m *Machine) lose(r *request, why Reason) {
	m.remove(r)
	m.do(Lost{r.ask.Ref, why})
}

func (m *Machine) remove(r *request) {
	delete(m.byID, r.id)
	delete(m.byRef, r.ask.Ref)
	m.queue.Remove(r)
	if m.perPeer[r.ask.To]--; m.perPeer[r.ask.To] == 0 {
		delete(m.perPeer, r.ask.To)
	}
	if r.ask.proves() {
		if m.proving[r.ask.To]--; m.proving[r.ask.To] == 0 {
			delete(m.proving, r.ask.To)
		}
	}
}

// due does what the time has come for.
func (m *Machine) due(now time.Time) {
	for r := m.queue.First(); r != nil && !r.at.After(now); r = m.queue.First() {
		hard := r.begun.Add(r.ask.Hard)
		if !hard.After(now) {
			m.lose(r, Timeout)
			continue
		}
		if !r.slow {
			r.slow = true
			m.do(Slow{r.ask.Ref})
		}
		next := hard
		if r.ask.Resend && r.sent < copies {
			m.send(now, r)
			if again := r.begun.Add(time.Duration(r.sent) * r.ask.Soft); r.sent < copies && again.Before(hard) {
				next = again
				if !next.After(now) { // the owner was late
					next = now.Add(r.ask.Soft)
				}
			}
		}
		r.at = next
		m.queue.Moved(r)
	}
}

// copies is how often a request is sent in all.
const copies = 3

// askWake asks for a Due when the next request has something to do.
func (m *Machine) askWake() {
	var next time.Time
	if r := m.queue.First(); r != nil {
		next = r.at
	}
	if !next.Equal(m.wake) {
		m.wake = next
		if !next.IsZero() {
			m.do(Wake{next})
		}
	}
}

// sooner reports whether something is to be done for a before b: at the earlier time, or at
// one time for the older one.
func sooner(a, b *request) bool {
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return a.count < b.count
}
