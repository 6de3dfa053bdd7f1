package reach

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// The numbers of what peers say of the time.
const (
	// EnoughClocks is how many sources must have told their time for their median to count, and
	// EnoughPrivate that on networks that take private addresses, which strangers do not enter.
	EnoughClocks, EnoughPrivate = 3, 2
	// ClockAgain is the time after which a peer is asked again, and ClockSoon that after it has not
	// answered.
	ClockAgain, ClockSoon = time.Hour, 5 * time.Minute

	maxClocks = 16 // sources that are asked
	clockFor  = 2*ClockAgain + ClockSoon
)

// Clocks finds out how far the clock of this machine is off: by the median of what connected nodes
// say. Each source has one word, a network as of [NetworkOf], or a node that the user has named. Nodes
// that have connected of their own accord count only while fewer than EnoughClocks others do. So
// liars move the median only if they are most of the nodes that this one has dialled or that the user
// has named. It is not safe for concurrent use.
type Clocks struct {
	Wide    bool // nobody else asks: each peer that this node has dialled is asked once, for another claim of its key
	private bool
	peers   map[identity.NodeID]*clock
}

// clock is a connected node that may tell its time.
type clock struct {
	Observer
	at     netip.Addr
	asked  time.Time     // zero: not yet
	heard  time.Time     // zero: it has not told its time
	behind time.Duration // what this machine is ahead of it
}

// NewClocks returns Clocks; private says that the network takes private addresses, each of which is
// a source then.
func NewClocks(private bool) *Clocks {
	return &Clocks{private: private, peers: make(map[identity.NodeID]*clock)}
}

// Met notes a connected node and its address.
func (c *Clocks) Met(o Observer, at netip.Addr) {
	if p := c.peers[o.ID]; p != nil && p.Conn == o.Conn {
		return
	}
	next := &clock{Observer: o, at: at}
	if p := c.peers[o.ID]; p != nil && p.at == at { // its time is no other one on a new connection
		next.asked, next.heard, next.behind = p.asked, p.heard, p.behind
	}
	c.peers[o.ID] = next
}

// Again has a peer asked again, at the next Ask.
func (c *Clocks) Again(peer identity.NodeID) {
	if p := c.peers[peer]; p != nil {
		p.asked = time.Time{}
	}
}

// Left notes the end of a connection.
func (c *Clocks) Left(peer identity.NodeID, conn uint64) {
	if p := c.peers[peer]; p != nil && p.Conn == conn {
		delete(c.peers, peer)
	}
}

// Heard notes by how much this machine is ahead of a peer. ok is false if the peer has not told its time.
func (c *Clocks) Heard(now time.Time, peer identity.NodeID, ahead time.Duration, ok bool) {
	p := c.peers[peer]
	switch {
	case p == nil:
	case ok:
		p.asked, p.heard, p.behind = now, now, ahead
	default:
		p.asked = now
	}
}

// Forget forgets what was said: the clock of this machine was set.
func (c *Clocks) Forget() {
	for _, p := range c.peers {
		p.asked, p.heard = time.Time{}, time.Time{}
	}
}

// SourceOf returns for whom a peer at an address speaks: its network as of [NetworkOf], or itself, if the user has named
// it, or if it has a private address on a network that takes these.
func SourceOf(o Observer, at netip.Addr, private bool) netip.Prefix {
	if o.Trusted || private && address.Public(at) != nil {
		whole, _ := at.Prefix(at.BitLen())
		return whole
	}
	return o.Network
}

// chosen returns the peers whose word counts, one of a source: those that the user has named, those
// that this node has dialled, and the others.
func (c *Clocks) chosen() []*clock {
	all := slices.Collect(maps.Values(c.peers))
	slices.SortFunc(all, func(a, b *clock) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Conn, b.Conn), a.ID.Compare(b.ID))
	})
	sources := make(map[netip.Prefix]bool)
	all = slices.DeleteFunc(all, func(p *clock) bool {
		s := SourceOf(p.Observer, p.at, c.private)
		again := sources[s]
		sources[s] = true
		return again
	})
	return all[:min(len(all), maxClocks)]
}

func (p *clock) rank() int {
	switch {
	case p.Trusted:
		return 0
	case p.Dialled:
		return 1
	}
	return 2
}

// Ask returns the peers to ask now, and when to call it again at the latest.
func (c *Clocks) Ask(now time.Time) (ask []identity.NodeID, again time.Time) {
	again = now.Add(ClockAgain)
	for _, p := range c.chosen() {
		due := p.asked.Add(ClockAgain)
		switch {
		case p.asked.IsZero():
			due = now
		case p.heard.IsZero() || p.asked.After(p.heard):
			due = p.asked.Add(ClockSoon)
		}
		if !due.After(now) {
			p.asked, due = now, now.Add(ClockSoon)
			ask = append(ask, p.ID)
		}
		if due.Before(again) {
			again = due
		}
	}
	if c.Wide {
		ask = append(ask, c.others(now)...)
	}
	return ask, again
}

// others returns the peers that this node has dialled and not asked on their connections, and notes that they are asked.
func (c *Clocks) others(now time.Time) (list []identity.NodeID) {
	for _, p := range c.peers {
		if p.rank() < 2 && p.asked.IsZero() {
			p.asked = now
			list = append(list, p.ID)
		}
	}
	slices.SortFunc(list, identity.NodeID.Compare)
	return list
}

// Ahead returns by how much this machine is ahead, and how many sources have said so; ok is false if
// these are too few.
func (c *Clocks) Ahead(now time.Time) (ahead time.Duration, sources int, ok bool) {
	var ours, all []time.Duration
	for _, p := range c.chosen() {
		if p.heard.IsZero() || now.Sub(p.heard) > clockFor {
			continue
		}
		if all = append(all, p.behind); p.rank() < 2 {
			ours = append(ours, p.behind)
		}
	}
	if len(ours) >= EnoughClocks {
		all = ours
	}
	enough := EnoughClocks
	if c.private {
		enough = EnoughPrivate
	}
	if len(all) < enough {
		return 0, len(all), false
	}
	slices.Sort(all)
	low, high := all[(len(all)-1)/2], all[len(all)/2]
	switch {
	case low < 0 && high > 0:
		return 0, len(all), true
	case low.Abs() < high.Abs():
		return low, len(all), true
	}
	return high, len(all), true
}
