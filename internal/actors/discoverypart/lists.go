package discoverypart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Limits of reading lists for searches.
//
// spec: V22.
const (
	listsLimit  = 10 * time.Second
	listsAtOnce = 8
	listsMost   = 16 // nodes that are asked in one go
	listsAgain  = time.Hour
	listsFailed = 5 * time.Minute // … after a failure
)

// listing is the reading of lists on behalf of searches.
type listing struct {
	id      uint64 // 0: none is under way
	waiters []waiter
	queue   []identity.NodeID
	open    int // lists that are being read
	asked   int
	until   time.Time
}

type listsLate struct{ id uint64 }

// listPeers reads the lists of connected nodes that were not read within the hour.
// Searches that come meanwhile wait for the same lists.
func (a *netsyncActor) listPeers(c actor.Context, m ListPeers) {
	if c.Sender() == nil {
		return
	}
	l := &a.lists
	if len(l.waiters) >= maxWaiters {
		c.Respond(PeersListed{Token: m.Token})
		return
	}
	l.waiters = append(l.waiters, waiter{c.Sender(), m.Token})
	if l.id != 0 {
		return
	}
	now := supervisor.Now(c)
	l.id, l.until = a.d.trunk.NewID(), now.Add(listsLimit)
	for _, id := range a.connectedNodes() {
		if !a.listed.Has(now, id) {
			l.queue = append(l.queue, id)
		}
	}
	a.random.Shuffle(len(l.queue), func(i, j int) { l.queue[i], l.queue[j] = l.queue[j], l.queue[i] })
	l.queue = l.queue[:min(len(l.queue), listsMost)]
	supervisor.After(c, listsLimit, listsLate{l.id})
	a.readLists(c)
}

// readLists asks the next nodes, and replies when there is none left.
func (a *netsyncActor) readLists(c actor.Context) {
	l := &a.lists
	now := supervisor.Now(c)
	for len(l.queue) > 0 && l.open < listsAtOnce {
		peer := l.queue[0]
		l.queue = l.queue[1:]
		if !a.Connected(peer) {
			continue
		}
		l.open++
		l.asked++
		a.listed.Add(now, peer, now.Add(listsAgain))
		a.sync(c, netsync.Sync{
			For: netsync.ForSearch, Peer: peer, N: netsync.MaxPeers, Clients: true, Connected: true, Until: l.until,
		})
	}
	if l.open == 0 {
		a.listsEnd(c, l.id)
	}
}

// listEnded notes the end of the reading of one list.
func (a *netsyncActor) listEnded(c actor.Context, s *syncing) {
	now := supervisor.Now(c)
	if s.result.New > 0 {
		supervisor.Publish(c, dht.PeersLearned{New: s.result.New})
	}
	if s.result.Err != nil {
		a.listed.Add(now, s.Peer, now.Add(listsFailed))
	}
	if l := &a.lists; l.id != 0 && s.Until.Equal(l.until) {
		l.open--
		a.readLists(c)
	}
}

// listsEnd replies to the searches that wait for lists.
func (a *netsyncActor) listsEnd(c actor.Context, id uint64) {
	if a.lists.id != id || id == 0 {
		return
	}
	for _, w := range a.lists.waiters {
		c.Send(w.to, PeersListed{Token: w.token, Asked: a.lists.asked})
	}
	a.lists = listing{}
}
