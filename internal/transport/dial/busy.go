package dial

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// maxBusy bounds how many peers are remembered as busy.
const maxBusy = 4096

// busyPeers remembers the peers that closed a dial before the handshake, so that
// automatic dials leave them alone for a while (V9).
type busyPeers struct {
	peers *lru.Map[identity.NodeID, busyPeer]
}

type busyPeer struct {
	until time.Time
	times int
}

func newBusyPeers() busyPeers { return busyPeers{lru.New[identity.NodeID, busyPeer](maxBusy)} }

func (b *busyPeers) until(peer identity.NodeID) time.Time {
	if p := b.peers.Get(peer); p != nil {
		return p.until
	}
	return time.Time{}
}

// count returns how many times in a row the peer was busy, this time included. A row
// ends when twice the longest wait has passed without another time.
func (b *busyPeers) count(now time.Time, peer identity.NodeID, longest time.Duration) int {
	p := b.peers.Keep(peer)
	if now.Sub(p.until) > 2*longest {
		p.times = 0
	}
	p.times++
	return p.times
}

func (b *busyPeers) hold(peer identity.NodeID, until time.Time) {
	b.peers.Keep(peer).until = until
}

// forget ends a row. The peer keeps its place in the order.
func (b *busyPeers) forget(peer identity.NodeID) {
	if p := b.peers.Get(peer); p != nil {
		*p = busyPeer{}
	}
}
