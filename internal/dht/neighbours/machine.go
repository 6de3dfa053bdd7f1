package neighbours

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Options configure a Machine. A zero field stands for its default, named after the
// semicolon.
//
// spec: dht 11.1
type Options struct {
	Neighbours int  // 8
	Random     int  // 4
	Minimise   bool // close connections to nodes in neither set

	Update  time.Duration // how often the sets are checked although nothing has happened; 2 min
	Refresh time.Duration // how often one in ten of the random set is replaced; 2 h

	// Rand draws the random nodes, and spreads dials in time. It must be set.
	Rand *rand.Rand
}

const (
	// churnPart is the part of the random set that is replaced at once: one in ten.
	churnPart = 10
	// offlineWait is the pause between the loss of all connections and the attempt to
	// find peers among those that failed before.
	offlineWait = 15 * time.Second
	// learnedWait is how long newly learned peers are gathered at most. It is less than
	// the pause before connectivity dials known peers, so that the sets come first.
	learnedWait = 400 * time.Millisecond
	// probes is how many nearer nodes are dialled at once while no neighbour is missing.
	probes = 4
	// dialLimit is how long a dial may take. The dialer lets dials wait for their turn,
	// and for peers that are busy.
	dialLimit = time.Minute
	// failuresPerTick is how many dials may fail between two ticks for each place in the
	// sets, so that a store full of dead peers is not dialled through at once.
	failuresPerTick = 4
)

// Machine keeps the sets. It is not safe for concurrent use.
type Machine struct {
	o    Options
	self identity.NodeID
	view View

	near   members
	random members
	others members // connected nodes in neither set
	dials  []dial
	backs  []back
	rests  rests

	running  bool
	offline  bool
	revive   bool // nodes that the store says are offline may be dialled too
	failures int  // how many more dials may fail before the next tick

	tick, churn, learned, revival time.Time // when they are due; zero: never

	changed bool
	wake    time.Time // the last Wake
	out     []Effect
}

// dial is a dial under way.
type dial struct {
	peer  identity.NodeID
	set   Set
	until time.Time
}

// back is a member that was lost a moment ago, and is dialled again at a time. Its place is
// kept for it.
type back struct {
	peer identity.NodeID
	set  Set
	at   time.Time
}

// New returns a machine for the node self.
func New(self identity.NodeID, view View, o Options) *Machine {
	if o.Neighbours <= 0 {
		o.Neighbours = 8
	}
	if o.Random <= 0 {
		o.Random = 4
	}
	if o.Update <= 0 {
		o.Update = 2 * time.Minute
	}
	if o.Refresh <= 0 {
		o.Refresh = 2 * time.Hour
	}
	return &Machine{o: o, self: self, view: view}
}

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	clear(m.out)
	m.out = m.out[:0]
	switch e := e.(type) {
	case Start:
		m.start(now, e.Drawn)
	case Connected:
		m.connected(e)
	case Disconnected:
		m.disconnected(now, e)
	case Dialled:
		m.dialled(now, e)
	case Failed:
		if !slices.ContainsFunc(m.dials, func(d dial) bool { return d.peer == e.Peer }) {
			m.rests.failed(now, e.Peer, m.offline)
		}
	case Learned:
		if m.learned.IsZero() {
			m.learned = now.Add(m.jittered(learnedWait))
		}
	case Online:
		m.offline, m.revival = false, time.Time{}
		m.refill()
		m.fill(now)
	case Offline:
		m.offline = true
		m.revival = now.Add(offlineWait)
	case Due:
		m.due(now)
	}
	if m.changed && m.running { // before its start the sets are not whole, and what an earlier machine has kept stays kept
		m.changed = false
		m.do(Keep{m.near.peers(), m.random.peers()})
	}
	m.askWake()
	return m.out
}

func (m *Machine) do(e Effect) { m.out = append(m.out, e) }

// jittered returns a time between half of d and d. Nodes that learn of each other at the
// same time would otherwise dial each other at the same time.
func (m *Machine) jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(m.o.Rand.Int64N(int64(d/2)))
}

func (m *Machine) start(now time.Time, drawn []identity.NodeID) {
	m.running, m.revive = true, true
	m.tick, m.churn = now.Add(m.o.Update), now.Add(m.o.Refresh)
	m.refill()
	m.promote()
	m.resume(drawn)
	m.fill(now)
}

// resume takes the nodes that an earlier machine had drawn into the random set, and, where
// some are missing, random ones of the connections that this node made: nobody is dialled who
// is not needed.
func (m *Machine) resume(drawn []identity.NodeID) {
	for _, peer := range drawn {
		if x := m.find(peer); x != nil && m.view.Eligible(peer) && !x.drawn {
			x.drawn = true
			if y, ok := m.others.take(*x); ok {
				m.mix(y)
			}
		}
	}
	var ours []member
	for _, x := range m.others {
		if x.outbound && m.view.Eligible(x.peer) {
			ours = append(ours, x)
		}
	}
	m.o.Rand.Shuffle(len(ours), func(i, j int) { ours[i], ours[j] = ours[j], ours[i] })
	for _, x := range ours[:min(len(ours), max(0, m.o.Random-m.random.drawn()))] {
		m.others.take(x)
		x.drawn = true
		m.mix(x)
	}
}

// Drawn returns the connected nodes that were drawn at random.
func (m *Machine) Drawn() (peers []identity.NodeID) {
	for _, l := range m.lists() {
		for _, x := range *l {
			if x.drawn {
				peers = append(peers, x.peer)
			}
		}
	}
	return peers
}

func (m *Machine) due(now time.Time) {
	if !m.running {
		return
	}
	ticked := !m.tick.After(now)
	if ticked {
		m.tick = now.Add(m.o.Update)
		m.refill()
		m.revive = m.offline
	}
	if !m.revival.IsZero() && !m.revival.After(now) {
		m.revival, m.revive = time.Time{}, true
		m.refill()
	}
	if !m.learned.IsZero() && !m.learned.After(now) {
		m.learned = time.Time{}
	}
	if ticked || !m.rests.next.IsZero() && !m.rests.next.After(now) {
		m.rests.purge(now)
	}
	m.expire(now)
	m.callBack(now)
	if !m.churn.After(now) {
		m.churn = now.Add(m.o.Refresh)
		m.churnRandom(now)
	}
	m.fill(now)
	if ticked {
		m.minimise()
	}
}

func (m *Machine) refill() { m.failures = failuresPerTick * (m.o.Neighbours + m.o.Random) }

// askWake asks for a Due at the next time at which something is to be done.
func (m *Machine) askWake() {
	if !m.running {
		return
	}
	next := m.tick
	for _, at := range []time.Time{m.churn, m.learned, m.revival, m.rests.next} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	for _, b := range m.backs {
		if b.at.Before(next) {
			next = b.at
		}
	}
	for _, d := range m.dials {
		if d.until.Before(next) {
			next = d.until
		}
	}
	if !next.Equal(m.wake) {
		m.wake = next
		m.do(Wake{next})
	}
}

// minimise closes the farthest connections that are in neither set, down to as many as the
// sets have places.
func (m *Machine) minimise() {
	if !m.o.Minimise {
		return
	}
	surplus := len(m.near) + len(m.random) + len(m.others) - m.o.Neighbours - m.o.Random
	for _, x := range slices.Backward(m.others) {
		if surplus <= 0 {
			return
		}
		if !m.view.KeptOpen(x.peer) {
			m.do(Close{x.peer})
			surplus--
		}
	}
}
