package kad

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// serve carries out a request of a peer.
func (a *storeActor) serve(c actor.Context, m *serving) {
	if m.in.Message.Verb == overlay.FindValue {
		r := a.find(c, m.in.Message.Target)
		c.Send(m.back, &served{serving: *m, record: r})
		return
	}
	r := m.in.Message.Record
	if r == nil {
		a.refuse(c, m, overlay.BadRequest)
		return
	}
	if a.x.trouble() != nil { // the last commit failed; it is tried again all the time (spec: kad B15)
		a.refuse(c, m, overlay.Busy)
		return
	}
	wall := supervisor.Wall(c)
	if err := record.CheckForm(a.x.Overlay, r, wall); err != nil {
		a.reject(c, m, err)
		return
	}
	switch {
	case r.Kind != overlay.Mutable:
		if err := record.Check(a.x.Overlay, r, wall); err != nil {
			a.reject(c, m, err)
			return
		}
		a.keep(c, m)
	case a.verified.Has(r):
		a.keep(c, m)
	case a.checking >= checksAtOnce:
		a.x.stored.queue = append(a.x.stored.queue, m) // at most MaxStores
	default:
		a.check(c, m)
	}
}

// check has a signature verified in a task.
func (a *storeActor) check(c actor.Context, m *serving) {
	a.checking++
	wall, family := supervisor.Wall(c), a.x.Overlay
	supervisor.Do(c, verifying{m}, func(context.Context) (checked, error) {
		return checked{record.Check(family, m.in.Message.Record, wall)}, nil
	})
}

func (a *storeActor) checked(c actor.Context, d supervisor.Done[checked]) {
	a.checking--
	if q := &a.x.stored.queue; len(*q) > 0 {
		next := (*q)[0]
		*q = (*q)[1:]
		a.check(c, next)
	}
	m := d.Key.(verifying).m
	switch {
	case d.Err != nil: // it panicked: the peer gets no answer
		m.Discard()
	case d.Value.err != nil:
		a.reject(c, m, d.Value.err)
	default:
		a.verified.Add(m.in.Message.Record)
		a.keep(c, m)
	}
}

// reject refuses a record with an error of package record, which may be an offence.
func (a *storeActor) reject(c actor.Context, m *serving, err error) {
	if record.Violation(err) {
		a.x.violated(&m.in.From, m.in.source(), err)
	}
	a.refuse(c, m, record.StatusOf(err))
}

func (a *storeActor) refuse(c actor.Context, m *serving, s overlay.Status) {
	a.x.figures.countRefusal("store: " + s.String())
	c.Send(m.back, &served{serving: *m, status: s})
}

// keep stores a record that is valid, if it may.
func (a *storeActor) keep(c actor.Context, m *serving) {
	msg := &m.in.Message
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	peer := string(m.in.Address)
	if m.in.PublicKey != (identity.PublicKey{}) {
		peer = string(m.in.PublicKey[:])
	}
	out := a.held.Put(values.Offer{
		Record: msg.Record, Peer: peer, Group: m.in.Group, TTL: msg.TTL, Cached: msg.Cached,
		Nearer: a.x.view.Load().Nearer(now, msg.Record.Key, notCloseAt),
	}, now, wall)
	a.dropped(c, out.Removed)
	switch {
	case out.Status != overlay.OK:
		a.x.figures.countRefusal("store: " + out.Status.String())
		if out.Status == overlay.Quota {
			c.Send(a.x.client, happened{Event{Kind: StoreFull}})
		}
	case out.Replicate:
		c.Send(a.x.upkeep, recordHeld{msg.Record.Key})
	}
	if out.Status == overlay.OK {
		a.touch(c, msg.Record.Key)
		a.plan(c)
	}
	if o := a.x.stored.own[msg.Record.Key]; o != nil && out.Status == overlay.OK && record.Compare(o.record, msg.Record) > 0 {
		out.Status, out.Current = overlay.SeqTooLow, o.record // this node publishes a newer one
	}
	c.Send(m.back, &served{serving: *m, status: out.Status, granted: out.Granted, record: out.Current})
}

// dropped notes that records of others have gone.
func (a *storeActor) dropped(c actor.Context, keys []Key) {
	if len(keys) == 0 {
		return
	}
	for _, key := range keys {
		a.touch(c, key)
	}
	c.Send(a.x.upkeep, recordDropped{keys})
}

// find returns the record under a key: the newer one of a publication and a stored one.
func (a *storeActor) find(c actor.Context, key Key) *overlay.Record {
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	var r *overlay.Record
	if o := a.x.stored.own[key]; o != nil && !record.Expired(o.record, wall) {
		r = o.record
	}
	if h, ok := a.held.Get(key, now, wall); ok && (r == nil || record.Compare(h.Record, r) > 0) {
		r = h.Record
	}
	return r
}

// local answers what this node has of a record.
func (a *storeActor) local(c actor.Context, m readLocal) localRecord {
	r := a.find(c, m.key)
	if r != nil && r.Kind != overlay.Mutable {
		return localRecord{r, true}
	}
	if k, ok := a.copies[m.key]; ok && m.stale > 0 && supervisor.Now(c).Sub(k.at) <= m.stale && !record.Expired(k.record, supervisor.Wall(c)) {
		if r == nil || record.Compare(k.record, r) >= 0 {
			return localRecord{k.record, true}
		}
	}
	return localRecord{r, false}
}

// confirm remembers that the network has agreed on a version of a record.
func (a *storeActor) confirm(c actor.Context, r *overlay.Record) {
	if _, ok := a.copies[r.Key]; !ok {
		if len(a.seen) >= maxConfirmed {
			delete(a.copies, a.seen[0])
			a.seen = a.seen[1:]
		}
		a.seen = append(a.seen, r.Key)
	}
	a.copies[r.Key] = confirmedCopy{r, supervisor.Now(c)}
}
