package why

import (
	"cmp"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

const (
	// Window is how long something is remembered.
	Window = time.Hour
	// mostPeers and mostSources are how many of them are remembered; those of which nothing was heard
	// for the longest time are forgotten first. If all are of this hour, the source with the most peers
	// has no room for more.
	mostPeers, mostSources = 2000, 1000
	// mostKinds is how much that differs is remembered of each.
	mostKinds = 8
)

// Seen is something that has just happened between this node and another one.
type Seen struct {
	Kind
	Code, Detail string
	Address      ma.Multiaddr
}

// Ledger remembers what has happened between this node and others. It is not safe for concurrent use.
type Ledger struct {
	start   time.Time
	peers   *lru.Map[identity.NodeID, peerPage]
	held    *share.Shares[identity.NodeID] // the peers, by the source of the first thing that is remembered; nil until there are mostPeers
	sources *lru.Map[share.Source, page]
}

type peerPage struct {
	page
	from share.Source
}

// page is what is remembered of one peer or source, the last thing last.
type page []entry

type entry struct {
	Seen
	count       uint32
	first, last time.Duration // since the start of the ledger
}

// NewLedger returns an empty Ledger, which begins to remember now.
func NewLedger(now time.Time) *Ledger {
	return &Ledger{start: now, peers: lru.New[identity.NodeID, peerPage](mostPeers), sources: lru.New[share.Source, page](mostSources)}
}

// Peer notes something that has happened with a peer. from is where its connection came from; it is
// [share.None] of what this node did.
func (l *Ledger) Peer(now time.Time, id identity.NodeID, from share.Source, s Seen) {
	at := now.Sub(l.start)
	if l.peers.Get(id) == nil && !l.hold(at, id, from) {
		return
	}
	l.peers.Use(id).note(at, s)
}

// hold makes room for a peer. It reports false if the source of the peer has no share left.
func (l *Ledger) hold(at time.Duration, id identity.NodeID, from share.Source) bool {
	if l.peers.Len() < mostPeers {
		l.peers.Use(id).from = from
		return true
	}
	if l.held == nil {
		l.held = new(share.Shares[identity.NodeID])
		for id, p := range l.peers.Newest() { // of equal ones the last makes way first
			l.held.Add(share.Holder[identity.NodeID]{Source: p.from, Key: id}, 1)
		}
	}
	who := share.Holder[identity.NodeID]{Source: from, Key: id}
	l.held.Add(who, 1)
	gone, oldest, _ := l.peers.Oldest()
	if at-oldest.last() < Window {
		most, _ := l.held.Most()
		if most == who && l.held.Source(from) > 1 {
			l.held.Add(who, -1)
			return false
		}
		if most != who {
			gone = most.Key
		}
	}
	l.held.Add(share.Holder[identity.NodeID]{Source: l.peers.Get(gone).from, Key: gone}, -1)
	l.peers.Delete(gone)
	l.peers.Use(id).from = from
	return true
}

// Source notes something that has happened with somebody whose key is not known. Nothing is
// remembered of [share.None] and [share.Exempt], which many share.
func (l *Ledger) Source(now time.Time, from share.Source, s Seen) {
	if from != share.None && from != share.Exempt {
		l.sources.Use(from).note(now.Sub(l.start), s)
	}
}

func (p page) last() (last time.Duration) {
	if len(p) > 0 {
		last = p[len(p)-1].last
	}
	return last
}

func (p *page) note(at time.Duration, s Seen) {
	e := entry{Seen: s, first: at}
	same := func(e entry) bool {
		return e.Kind == s.Kind && e.Code == s.Code && e.Detail == s.Detail && equal(e.Address, s.Address)
	}
	if i := slices.IndexFunc(*p, same); i >= 0 {
		e = (*p)[i]
		*p = slices.Delete(*p, i, i+1)
		if at-e.last >= Window {
			e.count, e.first = 0, at
		}
	} else if len(*p) == mostKinds {
		*p = slices.Delete(*p, 0, 1)
	}
	e.count++
	e.last = at
	*p = append(*p, e)
}

func equal(a, b ma.Multiaddr) bool { return len(a) == len(b) && (len(a) == 0 || a.Equal(b)) }

// Of returns what is remembered of a peer, and of sources that are not share.None. Refusals of a
// source are those of connections whose key is not known.
func (l *Ledger) Of(now time.Time, id identity.NodeID, from ...share.Source) Answer {
	at := now.Sub(l.start)
	a := Answer{Since: min(Window, at)}
	if p := l.peers.Get(id); p != nil {
		a.Records = p.records(a.Records, at)
	}
	for i, s := range from {
		if p := l.sources.Get(s); p != nil && !slices.Contains(from[:i], s) { // nothing is kept of those that many share
			a.Records = p.records(a.Records, at)
		}
	}
	slices.SortStableFunc(a.Records, func(x, y Record) int { return cmp.Compare(x.Last, y.Last) })
	return a
}

func (p *page) records(list []Record, at time.Duration) []Record {
	for _, e := range *p {
		if age := at - e.last; age < Window {
			list = append(list, Record{Kind: e.Kind, Code: e.Code, Detail: e.Detail, Address: e.Address, Count: e.count, First: at - e.first, Last: age})
		}
	}
	return list
}
