package safpart

import (
	"context"
	"errors"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// pending has changes of the index for the disk.
type pending struct {
	add     []store.Message
	refs    []saf.Ref // of add
	confirm []store.Confirmation
	delete  []uint64
	evicted []uint64   // for add: deleted by a later write if this one succeeds, otherwise taken back
	purges  []*purging // that end with the write
}

func (p *pending) empty() bool {
	return len(p.add)+len(p.confirm)+len(p.delete)+len(p.purges) == 0
}

// loaded is what a task has read.
type loaded struct {
	index  *saf.Index
	gone   []uint64
	region saf.Region
	store.Loaded
}

// written is the value of a task that has written.
type written struct{}

// load begins to read what is stored.
func (k *keeper) load(c actor.Context) {
	if k.busy {
		return
	}
	k.busy = true
	f, now, wall := k.f, supervisor.Now(c), supervisor.Wall(c)
	supervisor.Do(c, "load", func(context.Context) (l loaded, err error) {
		l.index = saf.NewIndex(f.Limits)
		l.Loaded, err = f.store.Load(func(r saf.Record) { l.gone = append(l.gone, l.index.Load(now, wall, r)...) })
		for i := range l.Visits { // they are by the system's clock
			l.Visits[i].At = now.Add(l.Visits[i].At.Sub(wall))
		}
		l.region = f.region(wall, l.Visits)
		return l, err
	})
}

func (k *keeper) loaded(c actor.Context, m supervisor.Done[loaded]) {
	k.busy = false
	k.health(c, m.Err)
	if m.Err != nil {
		for _, to := range k.awaiting {
			c.Send(to, Loaded{m.Err})
		}
		k.awaiting = nil
		k.relayEarly()
		k.answerNext(c) // drops those that have waited for too long
		k.drained(c)
		return
	}
	l := m.Value
	k.index, k.round = l.index, l.Round
	k.index.From(l.Next)
	k.rules = saf.Rules{Key: k.f.trunk.Secret().PublicKey(), Message: k.f.Limits.Message, Region: l.region}
	k.looked = supervisor.Now(c)
	for _, v := range l.Visits {
		k.visits.Load(k.looked, v)
	}
	if k.f.kept.damaged = l.Damaged; l.Damaged > 0 {
		supervisor.Log(c).Warn("some messages stored for others could not be read and are deleted", "n", l.Damaged)
	}
	k.remove(l.gone)
	for _, to := range k.awaiting {
		c.Send(to, Loaded{})
	}
	k.awaiting = nil
	for len(k.early) > 0 {
		e := k.early[0]
		k.early = k.early[1:]
		k.offered(c, e.Offered, e.from)
		e.Credit.Finish() // unless it was passed on
	}
	k.answerNext(c)
	k.watch(c)
	k.purgeMore(c)
	k.write(c)
}

// write begins a write unless one is under way or there is nothing to write. The end of a
// write begins the next one.
func (k *keeper) write(c actor.Context) {
	if k.busy || k.index == nil {
		if k.index == nil && !k.busy {
			k.drained(c)
		}
		return
	}
	low := errors.Is(k.err, store.ErrLowSpace) // what deletes is written at once
	due := (!k.next.empty() || k.visits.Changed()) && (k.retry == nil || low) || k.fails > 0 && k.retry == nil
	if k.draining == nil && !due {
		return
	}
	k.busy = true
	k.writing, k.next = k.next, pending{}
	f, w := k.f, &k.writing
	if len(w.delete) > store.DeleteMost && k.draining == nil { // the rest, and the purges that end with it, later
		k.next.delete, k.next.purges = w.delete[store.DeleteMost:], w.purges
		w.delete, w.purges = w.delete[:store.DeleteMost:store.DeleteMost], nil
	}
	batch := store.Batch{Round: k.round, Add: w.add, Confirm: w.confirm, Delete: w.delete, Probe: k.fails > 0}
	batch.Visits, batch.Left = k.visits.Changes()
	for i := range batch.Visits { // the disk has the system's clock
		v := &batch.Visits[i]
		v.At = supervisor.Wall(c).Add(v.At.Sub(supervisor.Now(c)))
	}
	sync := len(w.purges) > 0 || k.draining != nil || k.fails > 0
	supervisor.Do(c, "write", func(context.Context) (written, error) { return written{}, f.store.Write(&batch, sync) })
}

func (k *keeper) written(c actor.Context, err error) {
	k.busy = false
	w := k.writing
	k.writing = pending{}
	for i := range w.add {
		seq := w.add[i].Seq
		k.bytes -= int64(len(k.unwritten[seq]))
		delete(k.unwritten, seq)
	}
	if err == nil {
		k.index.Settle(w.evicted)
		k.remove(w.evicted)
	} else { // nothing was added
		for _, ref := range w.refs {
			k.index.Remove(ref)
		}
		dead, again := k.index.Restore(w.evicted)
		k.remove(dead)
		k.next.evicted = append(k.next.evicted, again...) // what has come again is in next
		k.watch(c)
	}
	failed := err
	if errors.Is(err, store.ErrLowSpace) { // what deletes was written
		failed = nil
	}
	for _, p := range w.purges {
		p.reply(c, failed)
	}
	k.health(c, err)
	switch {
	case k.draining != nil && (failed != nil || k.next.empty() && !k.visits.Changed()):
		k.drained(c)
	case failed == nil && (!k.next.empty() || k.visits.Changed()):
		k.write(c)
	}
}

// drained answers a Drain: nothing more will be written.
func (k *keeper) drained(c actor.Context) {
	if k.draining != nil {
		c.Send(k.draining, supervisor.Drained{From: c.Self()})
		k.draining = nil
	}
}

// purging is a Purge under way.
type purging struct {
	Purge
	Purged
	asker *actor.PID
}

func (p *purging) reply(c actor.Context, err error) {
	if p.asker != nil {
		p.Err = err
		c.Send(p.asker, p.Purged)
	}
}

// purge begins to delete messages.
func (k *keeper) purge(c actor.Context, m Purge) {
	k.purges = append(k.purges, &purging{Purge: m, asker: c.Sender()})
	if len(k.purges) == 1 {
		k.purgeMore(c)
	}
}

// purgeMost is how many messages are purged in one turn, so that others are stored
// meanwhile.
const purgeMost = 1000

// purgeMore deletes some more messages. The reply to a Purge follows the write of its last
// deletion.
func (k *keeper) purgeMore(c actor.Context) {
	if len(k.purges) == 0 || k.index == nil {
		return
	}
	p := k.purges[0]
	before := k.index.Stats().Bytes
	var gone []uint64
	if p.All {
		gone = k.index.PurgeAll(purgeMost)
		k.remove(k.index.ForgetAll())
	} else {
		gone = k.index.Purge(p.To, purgeMost)
		k.remove(k.index.Forget(p.To))
	}
	k.remove(gone)
	p.Messages += len(gone)
	p.Bytes += before - k.index.Stats().Bytes
	if len(gone) < purgeMost {
		k.purges = slices.Delete(k.purges, 0, 1)
		k.next.purges = append(k.next.purges, p)
	}
	if len(k.purges) > 0 {
		supervisor.After(c, 0, purgeDue{})
	}
	k.write(c)
}
