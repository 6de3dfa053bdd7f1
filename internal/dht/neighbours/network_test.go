package neighbours

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestNetworkConverges lets 200 machines that know each other start together: each has
// complete sets and its true neighbourhood soon, without a dial to everybody. Then half of
// them die.
func TestNetworkConverges(t *testing.T) {
	n := newSim(200, 1)
	for _, p := range n.peers {
		n.step(p, Start{})
	}
	n.run(begin.Add(time.Minute))
	n.want(t, "after a minute", 1, 24)

	for i, p := range n.peers {
		if i%2 == 0 {
			n.kill(p)
		}
	}
	n.run(begin.Add(3 * time.Minute))
	n.want(t, "two minutes after half of them died", 1, 24)
}

// TestNetworkConvergesAsPeersBecomeKnown lets each machine learn of the others in ten
// steps, so that it finds nearer ones again and again.
func TestNetworkConvergesAsPeersBecomeKnown(t *testing.T) {
	n := newSim(200, 2)
	for _, p := range n.peers {
		p.knows = func(i int) bool { return i%10 == 0 }
		n.step(p, Start{})
	}
	for step := range 10 {
		for _, p := range n.peers {
			p.knows = func(i int) bool { return i%10 <= step }
			n.step(p, Learned{})
		}
		n.run(begin.Add(time.Duration(5*step+5) * time.Second))
	}
	n.want(t, "after 50 s", 1, 45)
}

// sim is a network of machines. A dial takes between 1 and 100 ms.
type sim struct {
	peers  []*simPeer
	byID   map[identity.NodeID]*simPeer
	rand   *rand.Rand
	now    time.Time
	events simEvents
	seq    int
	dials  int
}

type simPeer struct {
	*Machine
	sim   *sim
	index int
	id    identity.NodeID
	dead  bool
	links map[*simPeer]bool
	knows func(index int) bool
	dials map[identity.NodeID]bool
	wake  time.Time
}

type simEvent struct {
	at  time.Time
	seq int
	do  func()
}

type simEvents []simEvent

func (h simEvents) Len() int { return len(h) }
func (h simEvents) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), cmp.Compare(h[i].seq, h[j].seq)) < 0
}
func (h simEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *simEvents) Push(x any)   { *h = append(*h, x.(simEvent)) }
func (h *simEvents) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

func newSim(size int, seed uint64) *sim {
	n := &sim{rand: rand.New(rand.NewPCG(seed, 0)), now: begin, byID: make(map[identity.NodeID]*simPeer)}
	for i := range size {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		p := &simPeer{
			sim: n, index: i, id: identity.NodeID(sum[:13]), links: make(map[*simPeer]bool), dials: make(map[identity.NodeID]bool),
			knows: func(int) bool { return true },
		}
		p.Machine = New(p.id, p, Options{Rand: rand.New(rand.NewPCG(seed, uint64(i)))})
		n.peers = append(n.peers, p)
		n.byID[p.id] = p
	}
	return n
}

func (n *sim) after(d time.Duration, do func()) {
	n.seq++
	heap.Push(&n.events, simEvent{n.now.Add(d), n.seq, do})
}

func (n *sim) run(until time.Time) {
	for len(n.events) > 0 && !n.events[0].at.After(until) {
		x := heap.Pop(&n.events).(simEvent)
		n.now = x.at
		x.do()
	}
	n.now = until
}

func (n *sim) step(p *simPeer, e Event) {
	if p.dead {
		return
	}
	for _, f := range slices.Clone(p.Step(n.now, e)) {
		switch f := f.(type) {
		case Dial:
			p.dials[f.Peer] = true
			n.after(time.Duration(1+n.rand.IntN(100))*time.Millisecond, func() { n.dialled(p, n.byID[f.Peer]) })
		case Cancel:
			delete(p.dials, f.Peer)
		case Wake:
			p.wake = f.At
			n.after(f.At.Sub(n.now), func() {
				if p.wake.Equal(f.At) {
					n.step(p, Due{})
				}
			})
		}
	}
}

func (n *sim) dialled(a, b *simPeer) {
	if !a.dials[b.id] || a.dead {
		return
	}
	delete(a.dials, b.id)
	n.dials++
	if b.dead {
		n.step(a, Dialled{Peer: b.id, Err: errors.New("dead")})
		return
	}
	if !a.links[b] {
		a.links[b], b.links[a] = true, true
		n.step(a, Connected{b.id, true})
		n.step(b, Connected{a.id, false})
	}
	n.step(a, Dialled{Peer: b.id})
}

func (n *sim) kill(p *simPeer) {
	p.dead = true
	for _, q := range n.peers { // in a fixed order
		if p.links[q] {
			delete(q.links, p)
			n.step(q, Disconnected{p.id, Lost})
		}
	}
}

// want checks that all sets are complete, that this share of the neighbours are the true
// ones, and how many connections a node has on average at most.
func (n *sim) want(t *testing.T, when string, share float64, most int) {
	t.Helper()
	full, live, links, right, all := 0, 0, 0, 0, 0
	for _, p := range n.peers {
		if p.dead {
			continue
		}
		live++
		links += len(p.links)
		s := p.State()
		if len(s.Neighbours) == 8 && len(s.Random) == 4 {
			full++
		}
		nearest := p.Closest(p.id, 9, func(id identity.NodeID, _ bool) bool { return id != p.id && !n.byID[id].dead })
		for _, id := range nearest[:8] {
			all++
			if s.Set(id) == Neighbour {
				right++
			}
		}
	}
	t.Logf("%s: %d of %d nodes have complete sets, %d of %d neighbours are the true ones, %.1f connections each, %d dials in all",
		when, full, live, right, all, float64(links)/float64(live), n.dials)
	if full != live || float64(right) < share*float64(all) || links > most*live {
		t.Errorf("%s: want complete sets, a share of %.2f true neighbours, and at most %d connections each", when, share, most)
	}
}

func (p *simPeer) Closest(target identity.NodeID, size int, ok func(identity.NodeID, bool) bool) (found []identity.NodeID) {
	var all []identity.NodeID
	for i, q := range p.sim.peers {
		if q != p && p.knows(i) {
			all = append(all, q.id)
		}
	}
	slices.SortFunc(all, func(a, b identity.NodeID) int { return target.Distance(a).Cmp(target.Distance(b)) })
	for _, id := range all {
		if len(found) < size && ok(id, false) {
			found = append(found, id)
		}
	}
	return found
}

func (p *simPeer) Eligible(identity.NodeID) bool     { return true }
func (p *simPeer) Connected(id identity.NodeID) bool { return p.links[p.sim.byID[id]] }
func (p *simPeer) KeptOpen(identity.NodeID) bool     { return false }
