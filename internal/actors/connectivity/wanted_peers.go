package connectivity

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/identity"
)

// wantedPeers are the peers whose connections parts keep open, by tag. All parts may write it; mu
// orders their writes.
type keptOpen struct {
	mu   sync.Mutex
	tag  map[string][]identity.NodeID
	peer atomic.Pointer[map[identity.NodeID][]string]
}

// set replaces the peers of a tag.
func (k *keptOpen) set(tag string, peers []identity.NodeID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tag == nil {
		k.tag = make(map[string][]identity.NodeID)
	}
	k.tag[tag] = slices.Clone(peers)
	all := make(map[identity.NodeID][]string)
	for tag, list := range k.tag {
		for _, peer := range list {
			all[peer] = append(all[peer], tag)
		}
	}
	for _, tags := range all {
		slices.Sort(tags)
	}
	k.peer.Store(&all)
}

// tags returns the tags under which a peer is kept. The caller must not change them.
func (k *keptOpen) tags(peer identity.NodeID) []string {
	if all := k.peer.Load(); all != nil {
		return (*all)[peer]
	}
	return nil
}

// has reports whether a peer is kept.
func (k *keptOpen) has(peer identity.NodeID) bool { return len(k.tags(peer)) > 0 }
