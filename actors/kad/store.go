package kad

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/record"
	"github.com/gamelan-p2p/gamelan/dht/kad/store"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// storeActor stores records of others and the publications of its client, verifies what is
// brought, and writes changes to the disk. The machine store.Store decides what is stored
// and what makes way.
//
// In: serving, putOwn, forgetOwn, listOwn, readRecord, readLocal, confirmed, ownDue, demote,
// tellUpkeep, getStore. Out: served, ownStored, forgotten, ownList, recordRead, localRecord,
// recordHeld, recordDropped, ownRecord and ownForgotten to upkeep. A restart loses no record;
// calls under way fail with ErrRestarted, and requests of peers under way get no answer.
//
// spec: kad B8, B9, B12
type storeActor struct {
	x        *core
	held     *store.Store
	verified record.Verified
	checking int // signatures that are being verified
	expiry   wake
	writing  bool
	gather   *supervisor.Timer
	err      error // of the last commit
	seen     []Key // keys of copies confirmed by the network, oldest first
	copies   map[Key]confirmedCopy

	finishing []*actor.PID // they wait until everything is written
}

// storeState is the state of storeActor that outlives its incarnations. Only its actor uses
// it, but for work.
type storeState struct {
	work    atomic.Int32 // STOREs of peers that are admitted
	held    *store.Store
	own     map[Key]*ownEntry
	dirty   changes
	flying  changes // that are being written
	waiters []*ownWaiter
	queue   []*serving // that wait for the verification of their signature
	loaded  bool
}

// ownEntry is a publication.
type ownEntry struct {
	record *kad.Record
	due    time.Time
	ttl    time.Duration
	signer crypto.Signer // nil: none, or not a mutable record
}

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

type confirmedCopy struct {
	record *kad.Record
	at     time.Time
}

type (
	// putOwn has a record published. Reply: ownStored, when it is on the disk.
	putOwn struct {
		record *kad.Record
		ttl    time.Duration
		signer crypto.Signer
	}
	ownStored struct{ err error }

	// forgetOwn ends a publication. Reply: forgotten.
	forgetOwn struct{ key Key }
	forgotten struct {
		found bool
		err   error
	}

	listOwn struct{}
	ownList struct{ list []Publication }

	// readRecord asks for a record that is to be stored again. Reply: recordRead.
	readRecord struct {
		token uint64
		key   Key
		own   bool
	}
	recordRead struct {
		token  uint64
		record *kad.Record // nil: there is none any more
		life   time.Duration
		cached bool
	}

	// readLocal asks for a record that this node has. Reply: localRecord.
	readLocal struct {
		key   Key
		stale time.Duration
	}
	localRecord struct {
		record *kad.Record // nil: none
		// enough says that the network need not be asked.
		enough bool
		own    bool
	}

	// confirmed: the network has just agreed on a record.
	confirmed struct{ record *kad.Record }

	// ownDue: a publication is due next at due.
	ownDue struct {
		key Key
		due time.Time
	}
	demote     struct{ key Key }
	tellUpkeep struct{}

	getStore     struct{}
	storeFigures struct {
		records, cached, bytes, own int
	}

	storeDue    struct{}
	storeGather struct{}
	committed   struct{}
	checked     struct {
		m   *serving
		err error
	}
	resigned struct {
		m      readRecord
		from   *actor.PID
		record *kad.Record
	}
)

// verifying is the key of the task that verifies the signature of a request's record.
type verifying struct{ m *serving }

// String names the task.
func (verifying) String() string { return "verify" }

// Source and Discard are those of the request.
func (k *checked) Source() any { return k.m.Source() }

// Discard returns the token.
func (k *checked) Discard() { k.m.Discard() }

// Publication is a record that a client publishes.
type Publication struct {
	Record *Record
	Due    time.Time // next, by the clock of [Host.Now]
	Signs  bool      // the client has the signer
}

const (
	notCloseAt    = store.NotCloseAt
	gatherFor     = 50 * time.Millisecond // changes of a batch (spec: kad B12)
	checksAtOnce  = 2                     // signatures verified at a time (spec: kad B8)
	maxConfirmed  = 1024
	publishWithin = 2 * time.Minute // an acknowledged publication whose caller has gone
)

func newStoreActor(x *core) actor.Actor {
	return &storeActor{x: x, copies: make(map[Key]confirmedCopy)}
}

func (a *storeActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case *serving:
		a.serve(c, m)
	case supervisor.Done[*checked]:
		a.checked(c, m)
	case putOwn:
		a.putOwn(c, m)
	case forgetOwn:
		a.forgetOwn(c, m)
	case listOwn:
		supervisor.Reply(c, ownList{a.list()})
	case readRecord:
		a.read(c, m, c.Sender())
	case supervisor.Done[resigned]:
		a.resigned(c, m)
	case readLocal:
		supervisor.Reply(c, a.local(c, m))
	case confirmed:
		a.confirm(c, m.record)
	case ownDue:
		if o := a.x.stored.own[m.key]; o != nil {
			o.due = m.due
			a.touchOwn(c, m.key)
		}
	case demote:
		if a.held.Demote(m.key) {
			a.touch(c, m.key)
		}
	case tellUpkeep:
		a.tellUpkeep(c)
	case getStore:
		records, cached, bytes := a.held.Size()
		supervisor.Reply(c, storeFigures{records, cached, bytes, len(a.x.stored.own)})
	case storeDue:
		a.expiry.fired()
		a.dropped(c, a.held.Expire(supervisor.Now(c)))
		a.plan(c)
	case storeGather:
		a.gather = nil
		a.commit(c)
	case supervisor.Done[committed]:
		a.written(c, m.Err)
	case finish:
		a.finishing = append(a.finishing, c.Sender())
		a.finish(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *storeActor) start(c actor.Context) {
	s := &a.x.stored
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	a.held = store.New(a.x.self, *a.x.Limits)
	if s.held != nil { // a restart: into a store of which nothing is half done
		for _, r := range s.held.All() {
			a.restore(r, now, wall)
		}
	}
	s.held = a.held
	if s.own == nil {
		s.own = make(map[Key]*ownEntry)
	}
	if kept := a.x.kept.Load(); kept != nil && !s.loaded {
		a.load(kept, now, wall)
	}
	s.loaded = true
	s.dirty.merge(s.flying)
	s.flying = changes{}
	for _, m := range s.queue {
		m.Discard()
	}
	s.queue = nil
	for _, w := range s.waiters {
		c.Send(w.to, w.reply(ErrRestarted))
	}
	s.waiters = nil
	a.plan(c)
	a.later(c)
	a.tellUpkeep(c)
}

func (a *storeActor) restore(r store.Stored, now, wall time.Time) {
	if life := r.Until.Sub(now); life > 0 {
		a.held.Put(store.Offer{Record: r.Record, Peer: r.Peer, Group: r.Group, TTL: life, Cached: r.Cached}, now, wall)
	}
}

func (a *storeActor) load(kept *Kept, now, wall time.Time) {
	for _, r := range kept.Records {
		if record.CheckForm(a.x.Overlay, r.Record, wall) == nil {
			a.restore(store.Stored{Record: r.Record, Until: now.Add(r.Until.Sub(wall)), Peer: r.Peer, Group: r.Group, Cached: r.Cached}, now, wall)
		}
	}
	for _, o := range kept.Own {
		a.x.stored.own[o.Record.Key] = &ownEntry{record: o.Record, due: now.Add(o.Due.Sub(wall)), ttl: o.TTL}
	}
}

// tellUpkeep tells the actor upkeep of all records.
func (a *storeActor) tellUpkeep(c actor.Context) {
	for _, r := range a.held.All() {
		if !r.Cached {
			c.Send(a.x.upkeep, recordHeld{r.Record.Key})
		}
	}
	for _, key := range sortedKeys(a.x.stored.own) {
		c.Send(a.x.upkeep, ownRecord{key, a.x.stored.own[key].due})
	}
}

func sortedKeys[V any](m map[Key]V) []Key {
	return slices.SortedFunc(maps.Keys(m), Key.Compare)
}

// serve carries out a request of a peer.
func (a *storeActor) serve(c actor.Context, m *serving) {
	if m.in.Message.Verb == kad.FindValue {
		r := a.find(c, m.in.Message.Target)
		c.Send(m.back, &served{serving: *m, record: r})
		return
	}
	r := m.in.Message.Record
	if r == nil {
		a.refuse(c, m, kad.BadRequest)
		return
	}
	wall := supervisor.Wall(c)
	if err := record.CheckForm(a.x.Overlay, r, wall); err != nil {
		a.refuse(c, m, record.StatusOf(err))
		return
	}
	switch {
	case r.Kind != kad.Mutable:
		if err := record.Check(a.x.Overlay, r, wall); err != nil {
			a.x.violated(&m.in.From, m.in.source(), err)
			a.refuse(c, m, record.StatusOf(err))
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
	wall, overlay := supervisor.Wall(c), a.x.Overlay
	supervisor.Do(c, verifying{m}, func(context.Context) (*checked, error) {
		return &checked{m, record.Check(overlay, m.in.Message.Record, wall)}, nil
	})
}

func (a *storeActor) checked(c actor.Context, d supervisor.Done[*checked]) {
	a.checking--
	if q := &a.x.stored.queue; len(*q) > 0 {
		next := (*q)[0]
		*q = (*q)[1:]
		a.check(c, next)
	}
	if d.Value == nil { // it panicked: the peer gets no answer
		if v, ok := d.Key.(verifying); ok {
			v.m.Discard()
		}
		return
	}
	if err := d.Value.err; err != nil {
		if m := d.Value.m; record.Violation(err) {
			a.x.violated(&m.in.From, m.in.source(), err)
		}
		a.refuse(c, d.Value.m, record.StatusOf(err))
		return
	}
	a.verified.Add(d.Value.m.in.Message.Record)
	a.keep(c, d.Value.m)
}

func (a *storeActor) refuse(c actor.Context, m *serving, s kad.Status) {
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
	out := a.held.Put(store.Offer{
		Record: msg.Record, Peer: peer, Group: m.in.Group, TTL: msg.TTL, Cached: msg.Cached,
		Nearer: a.x.view.Load().Nearer(now, msg.Record.Key, notCloseAt),
	}, now, wall)
	a.dropped(c, out.Removed)
	switch {
	case out.Status != kad.OK:
		a.x.figures.countRefusal("store: " + out.Status.String())
		if out.Status == kad.Quota {
			c.Send(a.x.client, happened{Event{Kind: StoreFull}})
		}
	case out.Replicate:
		c.Send(a.x.upkeep, recordHeld{msg.Record.Key})
	}
	if out.Status == kad.OK {
		a.touch(c, msg.Record.Key)
		a.plan(c)
	}
	if o := a.x.stored.own[msg.Record.Key]; o != nil && out.Status == kad.OK && record.Compare(o.record, msg.Record) > 0 {
		out.Status, out.Current = kad.SeqTooLow, o.record // this node publishes a newer one
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
func (a *storeActor) find(c actor.Context, key Key) *kad.Record {
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	var r *kad.Record
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
	_, own := a.x.stored.own[m.key]
	if r != nil && r.Kind != kad.Mutable {
		return localRecord{r, true, own}
	}
	if k, ok := a.copies[m.key]; ok && m.stale > 0 && supervisor.Now(c).Sub(k.at) <= m.stale && !record.Expired(k.record, supervisor.Wall(c)) {
		if r == nil || record.Compare(k.record, r) >= 0 {
			return localRecord{k.record, true, own}
		}
	}
	return localRecord{r, false, own}
}

// confirm remembers that the network has agreed on a version of a record.
func (a *storeActor) confirm(c actor.Context, r *kad.Record) {
	if _, ok := a.copies[r.Key]; !ok {
		if len(a.seen) >= maxConfirmed {
			delete(a.copies, a.seen[0])
			a.seen = a.seen[1:]
		}
		a.seen = append(a.seen, r.Key)
	}
	a.copies[r.Key] = confirmedCopy{r, supervisor.Now(c)}
}

// putOwn takes in a publication.
func (a *storeActor) putOwn(c actor.Context, m putOwn) {
	s := &a.x.stored
	key := m.record.Key
	was := s.own[key]
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

// later writes changes when some have gathered.
func (a *storeActor) later(c actor.Context) {
	if a.gather == nil && !a.writing {
		a.gather = supervisor.After(c, gatherFor, storeGather{})
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
	keeper := a.x.Keeper
	supervisor.Do(c, "commit", func(ctx context.Context) (committed, error) { return committed{}, keeper.Commit(ctx, b) })
}

// written notes the end of a commit. Of a failed one, publications are taken back; other
// changes are written with the next one.
func (a *storeActor) written(c actor.Context, err error) {
	s := &a.x.stored
	a.writing = false
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
		if a.err == nil {
			supervisor.Log(c).Error("records cannot be written down", "err", err)
		}
	}
	s.flying = changes{}
	a.err = err
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
	if a.err == nil && len(s.dirty.held)+len(s.dirty.own) > 0 {
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

// plan sets the timer for the next record whose life ends.
func (a *storeActor) plan(c actor.Context) {
	if at, ok := a.held.NextExpiry(); ok {
		a.expiry.set(c, at, storeDue{})
	}
}

// read answers with a record that is to be stored again. A publication that would soon
// expire is signed again first, if this client has its signer.
func (a *storeActor) read(c actor.Context, m readRecord, from *actor.PID) {
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	if !m.own {
		h, _ := a.held.Get(m.key, now, wall)
		c.Send(from, recordRead{m.token, h.Record, h.Life, h.Cached})
		return
	}
	o := a.x.stored.own[m.key]
	switch {
	case o == nil, record.Expired(o.record, wall) && o.signer == nil:
		if o != nil {
			delete(a.x.stored.own, m.key)
			a.touchOwn(c, m.key)
		}
		c.Send(from, recordRead{token: m.token})
	case o.signer != nil && o.ttl > 0 && record.Life(o.record, wall) < o.ttl*3/4:
		a.resign(c, m, from, o)
	default:
		c.Send(from, recordRead{m.token, o.record, publishLife(o.ttl), false})
	}
}

// publishLife returns the life that is asked for a publication.
func publishLife(ttl time.Duration) time.Duration {
	if ttl == 0 {
		return store.MaxLife
	}
	return min(ttl, store.MaxLife)
}

// resign signs a publication again, with a later end and the same seq (spec: kad B8).
func (a *storeActor) resign(c actor.Context, m readRecord, from *actor.PID, o *ownEntry) {
	r, signer, wall, ttl := o.record, o.signer, supervisor.Wall(c), o.ttl
	supervisor.Do(c, m, func(context.Context) (resigned, error) {
		next, err := record.Sign(signer, record.Content{
			Salt: r.Salt, Value: r.Value, Seq: r.Seq, Expires: wall.Add(ttl), Tombstone: r.Tombstone(),
		}, wall)
		return resigned{m, from, next}, err
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
	} else if o.record.Seq == d.Value.record.Seq {
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

// String is the store's line in the tree.
func (a *storeActor) String() string {
	if a.held == nil {
		return "starting"
	}
	records, cached, bytes := a.held.Size()
	line := fmt.Sprintf("%s of others (%d cached, %d bytes), publishes %d", inspect.Count(uint64(records), "record"), cached, bytes, len(a.x.stored.own))
	if a.err != nil {
		line += "; cannot be written down: " + errors.Unwrap(fmt.Errorf("%w", a.err)).Error()
	}
	return line
}
