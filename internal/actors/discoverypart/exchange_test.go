package discoverypart

import (
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// peerNode is a node whose answers about peers come from its store, as those of a real one.
type peerNode struct{ *node }

func (n peerNode) Allowed(identity.NodeID) bool   { return false }
func (n peerNode) WithoutDHT(peerstore.Peer) bool { return false }
func (n peerNode) Dialable(peerstore.Peer) error  { return nil }
func (n peerNode) Banned(id identity.NodeID) error {
	if _, _, banned := n.store.View().Banned(id, n.Wall()); banned {
		return ErrNobodyToAsk
	}
	return nil
}

// TestNearestWhileStoring chooses nodes while somebody else waits to write to the store: the
// choice must not read the store again, because the writer goes first. A banned node is not
// chosen.
func TestNearestWhileStoring(t *testing.T) {
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	add := func(n int, change func(*peerstore.Peer)) {
		p := peerstore.FromClaim(claimOf(t, n, now), peerstore.Discovery)
		change(&p)
		if _, err := store.Add(now, p); err != nil {
			t.Error(err)
			return
		}
		store.Seen(now, p.ID, p.Addresses[0].Addr, 0)
	}
	as := func(*peerstore.Peer) {}
	add(1, as)
	add(2, as)
	add(3, func(p *peerstore.Peer) { p.BannedUntil = now.Add(time.Hour) })
	x := newExchange(&Discovery{trunk: peerNode{&node{secret: secretOf(t, 0), store: store}}}, 1, 2)

	stored, chosen := make(chan struct{}), make(chan []identity.NodeID, 1)
	go func() {
		first := true
		chosen <- x.Nearest(5, func(identity.NodeID) bool {
			if first {
				first = false
				go func() {
					defer close(stored)
					add(4, as)
				}()
				time.Sleep(100 * time.Millisecond) // so that the writer waits for the lock
			}
			return false
		})
	}()
	select {
	case got := <-chosen:
		want := []identity.NodeID{secretOf(t, 1).NodeID(), secretOf(t, 2).NodeID()}
		slices.SortFunc(want, func(a, b identity.NodeID) int {
			return x.self().Distance(a).Cmp(x.self().Distance(b))
		})
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		<-stored
	case <-time.After(20 * time.Second):
		t.Fatal("the choice and the writer wait for each other")
	}
}
