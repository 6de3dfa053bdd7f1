package kad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// changes are keys whose records have changed since they were written.
type changes struct{ held, own map[Key]struct{} }

func (s *changes) init() {
	if s.held == nil {
		s.held, s.own = make(map[Key]struct{}), make(map[Key]struct{})
	}
}

func (s *changes) merge(o changes) {
	s.init()
	maps.Copy(s.held, o.held)
	maps.Copy(s.own, o.own)
}

// restore stores a record again that was stored before, unless its life has ended. It returns
// the keys that are not stored any more: its own, or those of records that made way.
func (a *storeActor) restore(r values.Stored, now, wall time.Time) (gone []Key) {
	life := r.Until.Sub(now)
	if life <= 0 {
		return []Key{r.Record.Key}
	}
	out := a.held.Put(values.Offer{Record: r.Record, Peer: r.Peer, Group: r.Group, TTL: life, Cached: r.Cached}, now, wall)
	if out.Status != overlay.OK {
		return append(out.Removed, r.Record.Key)
	}
	return out.Removed
}

// load takes in what the disk has. Records that are not stored any more are removed there by
// the next commit: their life has ended, or they exceed the limits.
func (a *storeActor) load(kept *Kept, now, wall time.Time) {
	s := &a.x.stored
	s.dirty.init()
	for _, r := range kept.Records {
		gone := []Key{r.Record.Key}
		// An expiry too far ahead was none when the record came: the system's clock is behind.
		if err := record.CheckForm(a.x.Overlay, r.Record, wall); err == nil || errors.Is(err, record.ErrTooLong) {
			gone = a.restore(values.Stored{Record: r.Record, Until: now.Add(r.Until.Sub(wall)), Peer: r.Peer, Group: r.Group, Cached: r.Cached}, now, wall)
		}
		for _, key := range gone {
			s.dirty.held[key] = struct{}{}
		}
	}
	for _, o := range kept.Own {
		// A date that no schedule gives is of another clock, such as one that was set since. The
		// publication is due, because nothing tells for how long it has waited.
		due := now.Add(o.Due.Sub(wall))
		if due.Sub(now) > latest(a.x.Params.Publish) {
			due = now
		}
		s.own[o.Record.Key] = &ownEntry{record: o.Record, due: due, ttl: o.TTL}
	}
}

// readAgain reads the disk after a restart. Nothing is written meanwhile, so that what comes is
// not older than what was written; what is in memory is served.
//
// spec: kad B13
func (a *storeActor) readAgain(c actor.Context) {
	a.writing = true
	keeper, commits, mine := a.x.Keeper, a.x.commits, a.turn
	supervisor.Do(c, "read", func(ctx context.Context) (*Kept, error) {
		return inTurn(ctx, commits, mine, func() (*Kept, error) { return keeper.Load(ctx) })
	})
}

// readIn takes in what the disk has and the memory has not, but for what has changed since it
// was written.
func (a *storeActor) readIn(c actor.Context, kept *Kept, err error) {
	a.writing = false
	s := &a.x.stored
	if err != nil {
		supervisor.Log(c).Warn("records cannot be read again; those in memory stay", "err", err)
		kept = new(Kept)
	}
	a.x.figures.damaged.Add(uint64(kept.Damaged))
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	missing := Kept{}
	for _, r := range kept.Records {
		_, changed := s.dirty.held[r.Record.Key]
		if _, have := a.held.Find(r.Record.Key); !changed && !have {
			missing.Records = append(missing.Records, r)
		}
	}
	for _, o := range kept.Own {
		if _, changed := s.dirty.own[o.Record.Key]; !changed && s.own[o.Record.Key] == nil {
			missing.Own = append(missing.Own, o)
		}
	}
	if len(missing.Records)+len(missing.Own) > 0 {
		a.load(&missing, now, wall)
		a.plan(c)
		a.tellUpkeep(c)
	}
	if len(a.finishing) > 0 {
		a.finish(c)
		return
	}
	a.commit(c)
}

// touch notes that the record of another node has changed.
func (a *storeActor) touch(c actor.Context, key Key) {
	if a.x.Keeper == nil {
		return
	}
	a.x.stored.dirty.init()
	a.x.stored.dirty.held[key] = struct{}{}
	a.later(c)
}

func (a *storeActor) touchOwn(c actor.Context, key Key) {
	if a.x.Keeper == nil {
		return
	}
	a.x.stored.dirty.init()
	a.x.stored.dirty.own[key] = struct{}{}
	a.later(c)
}

// later writes changes when some have gathered, or after the pause of a failed commit.
func (a *storeActor) later(c actor.Context) {
	if a.gather == nil && !a.writing {
		a.gather = supervisor.After(c, max(gatherFor, a.pause), storeGather{})
	}
}

// commit writes all changes, one batch at a time.
func (a *storeActor) commit(c actor.Context) {
	s := &a.x.stored
	if a.x.Keeper == nil || a.writing || len(s.dirty.held)+len(s.dirty.own) == 0 {
		return
	}
	s.flying, s.dirty = s.dirty, changes{}
	b := Batch{}
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	onWall := func(t time.Time) time.Time { return wall.Add(t.Sub(now)) }
	for _, key := range sortedKeys(s.flying.held) {
		if r, ok := a.held.Find(key); ok {
			b.Records = append(b.Records, KeptRecord{Record: r.Record, Until: onWall(r.Until), Peer: r.Peer, Group: r.Group, Cached: r.Cached})
		} else {
			b.Removed = append(b.Removed, key)
		}
	}
	for _, key := range sortedKeys(s.flying.own) {
		if o := s.own[key]; o != nil {
			b.Own = append(b.Own, KeptOwn{Record: o.record, Due: onWall(o.due), TTL: o.ttl})
		} else {
			b.Forgotten = append(b.Forgotten, key)
		}
	}
	b.Sync = len(a.finishing) > 0
	for _, w := range s.waiters {
		w.batch = true
		b.Sync = true
	}
	a.writing = true
	keeper, commits, mine := a.x.Keeper, a.x.commits, a.turn
	supervisor.Do(c, "commit", func(ctx context.Context) (committed, error) {
		return inTurn(ctx, commits, mine, func() (committed, error) { return committed{}, keeper.Commit(ctx, b) })
	})
}

// written notes the end of a commit. Of a failed one, publications are taken back; other
// changes are written with the next one.
func (a *storeActor) written(c actor.Context, err error) {
	s := &a.x.stored
	a.writing = false
	if err != nil && a.x.trouble() == nil {
		supervisor.Log(c).Error("records cannot be written down", "err", err)
	}
	a.x.fault(err) // before a caller learns of it
	switch {
	case err != nil:
		a.pause = min(max(2*a.pause, gatherFor), pauseMax)
	case a.pause > 0:
		a.pause = 0
		if a.gather != nil { // what waits need not wait so long
			a.gather.Stop()
			a.gather = nil
		}
	}
	var rest []*ownWaiter
	for i, w := range s.waiters {
		switch {
		case !w.batch:
			rest = append(rest, w)
		case err == nil:
			c.Send(w.to, w.reply(nil))
			w.done(c)
		default:
			s.takeBack(w, s.waiters[i+1:])
			c.Send(w.to, w.reply(fmt.Errorf("%w: %w", ErrStore, err)))
		}
	}
	s.waiters = rest
	if err != nil {
		s.dirty.merge(s.flying)
	}
	s.flying = changes{}
	if len(a.finishing) > 0 {
		a.finish(c)
		return
	}
	if len(rest) > 0 {
		a.commit(c)
		return
	}
	if len(s.dirty.held)+len(s.dirty.own) > 0 {
		a.later(c)
	}
}

// finish writes what is not on the disk yet. If that fails, it is lost.
func (a *storeActor) finish(c actor.Context) {
	s := &a.x.stored
	if a.x.trouble() == nil && len(s.dirty.held)+len(s.dirty.own) > 0 {
		a.commit(c)
	}
	if a.writing {
		return
	}
	for _, to := range a.finishing {
		c.Send(to, finished{"store"})
	}
	a.finishing = nil
}
