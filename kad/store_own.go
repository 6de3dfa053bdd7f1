package kad

import (
	"context"
	"crypto"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ownEntry is a publication.
type ownEntry struct {
	record *overlay.Record
	due    time.Time
	ttl    time.Duration
	signer crypto.Signer // nil: none, or not a mutable record
}

// over reports whether the life of a publication has ended for good: it cannot be signed again.
func (o *ownEntry) over(wall time.Time) bool {
	return o.signer == nil && record.Expired(o.record, wall)
}

// ownWaiter waits until changes of own publications are on the disk.
type ownWaiter struct {
	to    *actor.PID
	key   Key
	was   *ownEntry // to which a failure goes back
	reply func(error) any
	done  func(c actor.Context)
	batch bool // it is in the batch that is being written
}

// takeBack undoes the change of a waiter. A later change of the same key stays, and would go
// back to what was before both.
func (s *storeState) takeBack(w *ownWaiter, later []*ownWaiter) {
	for _, l := range later {
		if l.key == w.key {
			l.was = w.was
			return
		}
	}
	if w.was != nil {
		s.own[w.key] = w.was
	} else {
		delete(s.own, w.key)
	}
}

// putOwn takes in a publication, unless this node has a newer version: an acknowledged one of
// its own stays, and others would refuse the older one as this node does.
func (a *storeActor) putOwn(c actor.Context, m putOwn) {
	s := &a.x.stored
	key := m.record.Key
	was := s.own[key]
	newest := a.find(c, key)
	wall := supervisor.Wall(c)
	if was != nil && !was.over(wall) && (newest == nil || record.Compare(was.record, newest) > 0) {
		newest = was.record // it will be signed again
	}
	if newest != nil && record.Compare(newest, m.record) > 0 && (newest.Seq != m.record.Seq || !record.TooLong(newest, wall)) {
		supervisor.Reply(c, ownStored{&SeqTooLowError{Current: newest}})
		return
	}
	if was == nil && len(s.own) >= a.x.Params.MaxOwn {
		supervisor.Reply(c, ownStored{&QuotaError{What: "own records", Max: a.x.Params.MaxOwn}})
		return
	}
	due := supervisor.Now(c).Add(publishWithin)
	s.own[key] = &ownEntry{record: m.record, due: due, ttl: m.ttl, signer: m.signer}
	a.await(c, &ownWaiter{
		to: c.Sender(), key: key, was: was,
		reply: func(err error) any { return ownStored{err} },
		done:  func(c actor.Context) { c.Send(a.x.upkeep, ownRecord{key, due}) },
	})
}

// published returns the publication of a record; nil: it was forgotten, or there is a newer version.
func (a *storeActor) published(r *overlay.Record) *ownEntry {
	if o := a.x.stored.own[r.Key]; o != nil && o.record == r {
		return o
	}
	return nil
}

func (a *storeActor) forgetOwn(c actor.Context, m forgetOwn) {
	s := &a.x.stored
	was := s.own[m.key]
	if was == nil {
		supervisor.Reply(c, forgotten{})
		return
	}
	delete(s.own, m.key)
	a.await(c, &ownWaiter{
		to: c.Sender(), key: m.key, was: was,
		reply: func(err error) any { return forgotten{err == nil, err} },
		done:  func(c actor.Context) { c.Send(a.x.upkeep, ownForgotten(m)) },
	})
}

// await has a change of a publication written, and answers when it is.
func (a *storeActor) await(c actor.Context, w *ownWaiter) {
	if a.x.Keeper == nil {
		c.Send(w.to, w.reply(nil))
		w.done(c)
		return
	}
	s := &a.x.stored
	s.dirty.init()
	s.dirty.own[w.key] = struct{}{}
	s.waiters = append(s.waiters, w)
	a.commit(c)
}

// read answers with a record that is to be stored again. If this client has the signer of a
// publication, it signs it again first when that would soon expire, or expires too late for any
// peer, as it was signed while the clock was ahead.
func (a *storeActor) read(c actor.Context, m readRecord, from *actor.PID) {
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	if !m.own {
		h, _ := a.held.Get(m.key, now, wall)
		c.Send(from, recordRead{m.token, h.Record, h.Life, h.Cached})
		return
	}
	o := a.x.stored.own[m.key]
	switch {
	case o == nil, o.over(wall):
		if o != nil {
			delete(a.x.stored.own, m.key)
			a.touchOwn(c, m.key)
		}
		c.Send(from, recordRead{token: m.token})
	case o.signer != nil && o.ttl > 0 && (record.Life(o.record, wall) < o.ttl*3/4 || record.TooLong(o.record, wall)):
		a.resign(c, m, from, o)
	default:
		c.Send(from, recordRead{m.token, o.record, publishLife(o.ttl), false})
	}
}

// publishLife returns the life that is asked for a publication.
func publishLife(ttl time.Duration) time.Duration {
	if ttl == 0 {
		return values.MaxLife
	}
	return min(ttl, values.MaxLife)
}

// resign signs a publication again, with a later end and the same seq (spec: kad B8).
func (a *storeActor) resign(c actor.Context, m readRecord, from *actor.PID, o *ownEntry) {
	r, signer, wall, ttl := o.record, o.signer, supervisor.Wall(c), o.ttl
	supervisor.Do(c, m, func(context.Context) (resigned, error) {
		next, err := record.Sign(signer, record.Content{
			Salt: r.Salt, Value: r.Value, Seq: r.Seq, Expires: wall.Add(ttl), Tombstone: r.Tombstone(),
		}, wall)
		return resigned{m, from, r, next}, err
	})
}

func (a *storeActor) resigned(c actor.Context, d supervisor.Done[resigned]) {
	m, ok := d.Key.(readRecord)
	o := a.x.stored.own[m.key]
	if !ok || o == nil {
		return
	}
	if d.Err != nil {
		supervisor.Log(c).Warn("a publication cannot be signed again; it is published as it is", "key", m.key, "err", d.Err)
	} else if o.record == d.Value.was { // nothing was published under the key meanwhile
		o.record = d.Value.record
		a.touchOwn(c, m.key)
	}
	if d.Value.from != nil {
		c.Send(d.Value.from, recordRead{m.token, o.record, publishLife(o.ttl), false})
	} else {
		c.Send(a.x.upkeep, recordRead{m.token, o.record, publishLife(o.ttl), false})
	}
}

func (a *storeActor) list() (list []Publication) {
	for _, key := range sortedKeys(a.x.stored.own) {
		o := a.x.stored.own[key]
		list = append(list, Publication{Record: o.record, Due: o.due, Signs: o.signer != nil})
	}
	return list
}
