package dhtpart

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// dedup writes the records of DHT.Dedup to the store 50 ms after a change, and syncs
// them to the disk about once a second. Dedup itself answers from memory alone. While
// writes fail, dedup tries again less and less often; the first write that succeeds
// makes the store equal to the memory (spec: dht 4.2, V29). With nothing to write, dedup
// has no timer.
//
// In: dedupChanged from Dedup's hook, actors.StoreHealed, Drain. Out: Drained. A restart
// loses nothing: Dedup, the write under way and the senders of Drain outlive the actor.
type dedup struct {
	dht *DHT

	busy      bool // a write is under way
	syncing   bool // that write syncs
	wait      *supervisor.Timer
	synced    time.Time // when the last write with sync succeeded
	answering int       // how many of dedupStore.owed asked before the write under way began

	fails int // writes in a row that failed
	err   error
	since time.Time
}

// NewDedup returns the actor that writes DHT.Dedup to DHT.DB. The Specs of this actor
// and of the group above it must set Drains.
func NewDedup(d *DHT) actor.Actor { return &dedup{dht: d} }

type (
	dedupChanged struct{}
	dedupDue     struct{}
)

const (
	// dedupDelay is how long a change may stay in memory alone.
	dedupDelay = 50 * time.Millisecond
	// dedupMany is how many pending changes make the next write begin as soon as the
	// last one has ended, without the delay.
	dedupMany = 4 * dedupChunk
	// dedupSync is how long written records may stay without a sync. Until the sync
	// the store may hold them in the memory of the process.
	dedupSync = time.Second
)

func (a *dedup) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[actors.StoreHealed](c)
		tell := supervisor.Teller(c)
		a.dht.Dedup.OnChange(func() { tell(dedupChanged{}) })
		a.next(c)
	case dedupChanged:
		if !a.busy && a.fails == 0 {
			a.after(c, dedupDelay)
		}
	case dedupDue:
		a.wait = nil
		a.write(c)
	case actors.StoreHealed: // another client's writes succeed again, so these may too
		if a.fails > 0 && !a.busy {
			a.after(c, dedupDelay)
		}
	case supervisor.Drain:
		a.dht.dedupStore.owed = append(a.dht.dedupStore.owed, c.Sender())
		a.write(c) // the node stops: do not wait for the delay
	case supervisor.Done[struct{}]:
		a.written(c, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

// after schedules the next write after d.
func (a *dedup) after(c actor.Context, d time.Duration) {
	a.halt()
	a.wait = supervisor.After(c, d, dedupDue{})
}

func (a *dedup) halt() {
	if a.wait != nil {
		a.wait.Stop()
		a.wait = nil
	}
}

// write begins a write unless one is under way.
func (a *dedup) write(c actor.Context) {
	if a.busy {
		return
	}
	a.halt()
	a.answering = len(a.dht.dedupStore.owed)
	a.syncing = a.answering > 0 || supervisor.Now(c).Sub(a.synced) >= dedupSync
	a.busy = true
	d, sync := a.dht, a.syncing
	supervisor.Do(c, "write", func(context.Context) (struct{}, error) {
		return struct{}{}, d.dedupStore.write(d.Dedup, sync)
	})
}

func (a *dedup) written(c actor.Context, err error) {
	a.busy = false
	if errors.Is(err, errDedupWriting) {
		a.after(c, dedupDelay)
		return
	}
	if err == nil && a.syncing {
		a.synced = supervisor.Now(c)
	}
	a.health(c, err)
	owed := a.dht.dedupStore.owed
	a.dht.dedupStore.owed = owed[a.answering:]
	for _, asker := range owed[:a.answering] {
		if asker != nil {
			c.Send(asker, supervisor.Drained{From: c.Self()})
		}
	}
	a.next(c)
}

// next begins or schedules the next write, if there is something to write or sync.
func (a *dedup) next(c actor.Context) {
	switch {
	case len(a.dht.dedupStore.owed) > 0:
		a.write(c)
	case a.fails > 0:
		a.after(c, kv.RetryAfter(a.fails))
	case a.dht.Dedup.Pending() >= dedupMany:
		a.write(c)
	case a.dht.Dedup.Pending() > 0:
		a.after(c, dedupDelay)
	case a.dht.dedupStore.unsynced.Load():
		a.after(c, max(0, a.synced.Add(dedupSync).Sub(supervisor.Now(c))))
	}
}

func (a *dedup) health(c actor.Context, err error) {
	switch {
	case err != nil:
		if a.err == nil || a.err.Error() != err.Error() {
			supervisor.Log(c).Error("what messages were seen cannot be kept for the next start; it is tried again", "err", err)
		}
		if a.fails++; a.fails == 1 {
			a.since = supervisor.Now(c)
		}
	case a.fails > 0:
		supervisor.Log(c).Info("what messages were seen can be kept again", "took", supervisor.Now(c).Sub(a.since))
		a.fails = 0
	}
	a.err = err
}

// DedupStatus is the state of the dedup actor.
type DedupStatus struct {
	dht.DedupStats
	Written uint64 `json:"written"`       // records written to the store since the start
	Writing bool   `json:"writing"`       // a write is under way or not synced yet
	Fails   int    `json:"fails"`         // writes in a row that failed
	Err     string `json:"err,omitempty"` // error of the last write
}

// Inspect returns a DedupStatus.
func (a *dedup) Inspect() any {
	s := DedupStatus{
		DedupStats: a.dht.Dedup.Stats(), Written: a.dht.dedupStore.written.Load(),
		Writing: a.busy || a.dht.dedupStore.unsynced.Load(), Fails: a.fails,
	}
	if a.err != nil {
		s.Err = a.err.Error()
	}
	return s
}

func (a *dedup) String() string {
	s := a.dht.Dedup.Stats()
	line := fmt.Sprintf("%d of %d hashes, %d copies, %d to write", s.Hashes, s.Capacity, s.Copies, s.Pending)
	if s.Fingerprints > 0 {
		line += fmt.Sprintf(", %d fingerprints", s.Fingerprints)
	}
	if s.Early > 0 {
		line += fmt.Sprintf(", %d forgotten early", s.Early)
	}
	if a.err != nil {
		line += ", " + a.err.Error()
	}
	return line
}
