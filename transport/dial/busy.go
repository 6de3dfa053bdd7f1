package dial

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// maxBusy bounds how many peers are remembered as busy.
const maxBusy = 4096

// busyPeers remembers the peers that closed a dial before the handshake, so that
// automatic dials leave them alone for a while (V9).
type busyPeers struct {
	peers map[identity.NodeID]busyPeer
	order []identity.NodeID // oldest first; the oldest is forgotten first
}

type busyPeer struct {
	until time.Time
	times int
}

func newBusyPeers() busyPeers { return busyPeers{peers: make(map[identity.NodeID]busyPeer)} }

func (b *busyPeers) until(peer identity.NodeID) time.Time { return b.peers[peer].until }

// count returns how many times in a row the peer was busy, this time included. A row
// ends when twice the longest wait has passed without another time.
func (b *busyPeers) count(now time.Time, peer identity.NodeID, longest time.Duration) int {
	p, known := b.peers[peer]
	if !known {
		if len(b.order) >= maxBusy {
			delete(b.peers, b.order[0])
			b.order = b.order[1:]
		}
		b.order = append(b.order, peer)
	} else if now.Sub(p.until) > 2*longest {
		p.times = 0
	}
	p.times++
	b.peers[peer] = p
	return p.times
}

func (b *busyPeers) hold(peer identity.NodeID, until time.Time) {
	p := b.peers[peer]
	p.until = until
	b.peers[peer] = p
}

// forget ends a row. The peer keeps its place in the order.
func (b *busyPeers) forget(peer identity.NodeID) {
	if _, known := b.peers[peer]; known {
		b.peers[peer] = busyPeer{}
	}
}
