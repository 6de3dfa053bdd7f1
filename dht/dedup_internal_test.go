package dht

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestDedupReleaseIsOneStep: a copy that waits while a handled message is released is never
// the first one. Go hands a mutex from one goroutine to the next once the first has
// waited in vain for a millisecond: the copy is next as soon as Release unlocks.
func TestDedupReleaseIsOneStep(t *testing.T) {
	now, from := time.Unix(1000, 0), identity.NodeID{2}
	for i := range 10 {
		d, h := NewDedup(10), wire.Hash{1}
		d.Hold(h)
		released, copies := make(chan struct{}), make(chan uint32, 1)
		d.mu.Lock()
		go func() {
			defer close(released)
			d.Release(h, from, now, true)
		}()
		time.Sleep(2 * time.Millisecond)
		go func() { copies <- d.Count(h, from, now) }()
		time.Sleep(2 * time.Millisecond)
		d.mu.Unlock() // wakes Release
		d.mu.Lock()   // which has to wait once more
		time.Sleep(time.Millisecond)
		d.mu.Unlock()
		<-released
		if n := <-copies; n != 2 {
			t.Fatalf("round %d: the copy was counted as number %d, want 2", i, n)
		}
	}
}
