package dht

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// MaxUnreached is how many messages an [Unreached] remembers.
const MaxUnreached = 4096

// maxUnreachedPeers is how many peers are remembered for one message. No strategy
// selects more with its default numbers.
const maxUnreachedPeers = 64

// Unreached remembers the peers that relayed messages did not reach, so that a later
// copy of such a message goes to these peers alone. It holds [MaxUnreached] messages in
// memory and forgets the oldest. Its methods may be called from any goroutine. A nil
// *Unreached remembers nothing.
type Unreached struct {
	n        atomic.Int64 // how many messages; read without mu
	mu       sync.Mutex
	messages *lru.Map[wire.Hash, unreached]
}

// unreached is one message.
type unreached struct {
	reselect bool // it was relayed to nobody, so peers are selected again
	peers    []identity.NodeID
}

// NewUnreached returns an empty Unreached.
func NewUnreached() *Unreached {
	return &Unreached{messages: lru.New[wire.Hash, unreached](MaxUnreached)}
}

// Reselect notes that the message was relayed to nobody: peers are selected again for a
// later copy.
func (u *Unreached) Reselect(h wire.Hash) {
	u.note(h, func(x *unreached) { x.reselect, x.peers = true, nil })
}

// Missed notes that the message did not reach a peer.
func (u *Unreached) Missed(h wire.Hash, peer identity.NodeID) {
	u.note(h, func(x *unreached) {
		if !x.reselect && len(x.peers) < maxUnreachedPeers && !slices.Contains(x.peers, peer) {
			x.peers = append(x.peers, peer)
		}
	})
}

func (u *Unreached) note(h wire.Hash, change func(*unreached)) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u.messages.Keep(h))
	u.n.Store(int64(u.messages.Len()))
}

// Reached notes that a peer has the message after all.
func (u *Unreached) Reached(h wire.Hash, peer identity.NodeID) {
	if u.Len() == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	x := u.messages.Get(h)
	if x == nil {
		return
	}
	x.peers = slices.DeleteFunc(x.peers, func(id identity.NodeID) bool { return id == peer })
	if len(x.peers) == 0 && !x.reselect {
		u.forget(h)
	}
}

// Has reports whether a later copy of the message is to be relayed.
func (u *Unreached) Has(h wire.Hash) bool {
	if u.Len() == 0 {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.messages.Get(h) != nil
}

// Take forgets the message and returns the peers that it did not reach. Reselect reports
// that it was relayed to nobody, ok that the message was remembered.
func (u *Unreached) Take(h wire.Hash) (peers []identity.NodeID, reselect, ok bool) {
	if u.Len() == 0 {
		return nil, false, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	x := u.messages.Get(h)
	if x == nil {
		return nil, false, false
	}
	u.forget(h)
	return x.peers, x.reselect, true
}

// Len returns how many messages are remembered.
func (u *Unreached) Len() int {
	if u == nil {
		return 0
	}
	return int(u.n.Load())
}

func (u *Unreached) forget(h wire.Hash) {
	u.messages.Delete(h)
	u.n.Store(int64(u.messages.Len()))
}
