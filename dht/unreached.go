package dht

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
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
	n     atomic.Int64 // how many messages; read without mu
	mu    sync.Mutex
	index map[wire.Hash]*list.Element
	order list.List // of *unreached, the newest in front
}

// unreached is one message.
type unreached struct {
	hash  wire.Hash
	anew  bool // it was relayed to nobody, so peers are selected anew
	peers []identity.NodeID
}

// NewUnreached returns an empty Unreached.
func NewUnreached() *Unreached { return &Unreached{index: make(map[wire.Hash]*list.Element)} }

// Anew notes that the message was relayed to nobody: peers are selected anew for a
// later copy.
func (u *Unreached) Anew(h wire.Hash) { u.note(h, func(x *unreached) { x.anew, x.peers = true, nil }) }

// Missed notes that the message did not reach a peer.
func (u *Unreached) Missed(h wire.Hash, peer identity.NodeID) {
	u.note(h, func(x *unreached) {
		if !x.anew && len(x.peers) < maxUnreachedPeers && !slices.Contains(x.peers, peer) {
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
	e, ok := u.index[h]
	if !ok {
		if u.order.Len() >= MaxUnreached {
			u.forget(u.order.Back())
		}
		e = u.order.PushFront(&unreached{hash: h})
		u.index[h] = e
		u.n.Store(int64(u.order.Len()))
	}
	change(e.Value.(*unreached))
}

// Reached notes that a peer has the message after all.
func (u *Unreached) Reached(h wire.Hash, peer identity.NodeID) {
	if u.Len() == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	e, ok := u.index[h]
	if !ok {
		return
	}
	x := e.Value.(*unreached)
	x.peers = slices.DeleteFunc(x.peers, func(id identity.NodeID) bool { return id == peer })
	if len(x.peers) == 0 && !x.anew {
		u.forget(e)
	}
}

// Has reports whether a later copy of the message is to be relayed.
func (u *Unreached) Has(h wire.Hash) bool {
	if u.Len() == 0 {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.index[h]
	return ok
}

// Take forgets the message and returns the peers that it did not reach. Anew reports
// that it was relayed to nobody, ok that the message was remembered.
func (u *Unreached) Take(h wire.Hash) (peers []identity.NodeID, anew, ok bool) {
	if u.Len() == 0 {
		return nil, false, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	e, ok := u.index[h]
	if !ok {
		return nil, false, false
	}
	u.forget(e)
	x := e.Value.(*unreached)
	return x.peers, x.anew, true
}

// Len returns how many messages are remembered.
func (u *Unreached) Len() int {
	if u == nil {
		return 0
	}
	return int(u.n.Load())
}

func (u *Unreached) forget(e *list.Element) {
	delete(u.index, e.Value.(*unreached).hash)
	u.order.Remove(e)
	u.n.Store(int64(u.order.Len()))
}
