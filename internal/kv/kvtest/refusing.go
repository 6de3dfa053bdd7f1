package kvtest

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Refusing is a store that refuses writes while it is told to.
type Refusing struct {
	kv.DB
	Stuck chan struct{} // if not nil, writes wait until it is closed

	mu     sync.Mutex
	err    error
	writes int
}

// Apply writes, or fails with the error of Set.
func (d *Refusing) Apply(b *kv.Batch, sync bool) error {
	if d.Stuck != nil {
		<-d.Stuck
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.err != nil {
		return d.err
	}
	return d.DB.Apply(b, sync)
}

// Client returns the store itself: it is never opened anew.
func (d *Refusing) Client() kv.Client { return d }

// Set has writes fail with err from now on, unless it is nil. It returns how many
// writes were tried so far.
func (d *Refusing) Set(err error) (writes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return d.writes
}
