package kad

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// storeActor stores records of others and the publications of its client, verifies what is
// brought, and writes changes to the disk. The machine store.Store decides what is stored
// and what makes way.
//
// In: serving, putOwn, forgetOwn, listOwn, readRecord, readLocal, confirmed, ownDue, ownPublished, demote,
// tellUpkeep, getStore. Out: served, ownStored, forgotten, ownList, recordRead, localRecord,
// recordHeld, recordDropped, ownRecord and ownForgotten to upkeep. A restart loses no record;
// calls under way fail with ErrRestarted, and requests of peers under way get no answer.
//
// spec: kad B8, B9, B12
type storeActor struct {
	x        *core
	held     *values.Store
	verified record.Verified
	turn     uint64 // of this incarnation, in x.commits
	checking int    // signatures that are being verified
	expiry   wake
	writing  bool
	gather   *supervisor.Timer
	pause    time.Duration // before the next commit, since the last one has failed; 0: it has not
	seen     []Key         // keys of copies confirmed by the network, oldest first
	copies   map[Key]confirmedCopy

	finishing []*actor.PID // they wait until everything is written
}

// storeState is the state of storeActor that outlives its incarnations. Only its actor uses
// it, but for work.
type storeState struct {
	work    atomic.Int32 // STOREs of peers that are admitted
	held    *values.Store
	own     map[Key]*ownEntry
	dirty   changes
	flying  changes // that are being written
	waiters []*ownWaiter
	queue   []*serving // that wait for the verification of their signature
	loaded  bool
}

type confirmedCopy struct {
	record *overlay.Record
	at     time.Time
}

const (
	notCloseAt    = values.NotCloseAt
	gatherFor     = 50 * time.Millisecond // changes of a batch (spec: kad B12)
	pauseMax      = 10 * time.Second      // after a failed commit, doubled from gatherFor on
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
	case supervisor.Done[checked]:
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
		if o := a.published(m.record); o != nil {
			o.due = m.due
			a.touchOwn(c, m.record.Key)
		}
	case ownPublished:
		if a.published(m.record) != nil {
			c.Send(a.x.upkeep, m)
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
	case supervisor.Done[*Kept]:
		a.readIn(c, m.Value, m.Err)
	case finish:
		a.finishing = append(a.finishing, c.Sender())
		a.finish(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *storeActor) start(c actor.Context) {
	s := &a.x.stored
	a.turn = a.x.commits.next()
	now, wall := supervisor.Now(c), supervisor.Wall(c)
	a.held = values.New(a.x.self, *a.x.Limits)
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
		if n, most := len(s.own), a.x.Params.MaxOwn; n > most { // an earlier run had another limit
			supervisor.Log(c).Warn("more records than can be published again in time; others drop some meanwhile", "records", n, "most", most)
		}
		rest := *kept
		rest.Records, rest.Own = nil, nil // their time ends with that of the store
		a.x.kept.Store(&rest)
	}
	again := s.loaded && a.x.Keeper != nil
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
	if again {
		a.readAgain(c)
	}
	a.plan(c)
	a.later(c)
	a.tellUpkeep(c)
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

// plan sets the timer for the next record whose life ends.
func (a *storeActor) plan(c actor.Context) {
	if at, ok := a.held.NextExpiry(); ok {
		a.expiry.set(c, at, storeDue{})
	}
}

// String is the store's line in the tree.
func (a *storeActor) String() string {
	if a.held == nil {
		return "starting"
	}
	records, cached, bytes := a.held.Size()
	line := fmt.Sprintf("%s of others (%d cached, %d bytes), publishes %d", inspect.Count(uint64(records), "record"), cached, bytes, len(a.x.stored.own))
	if err := a.x.trouble(); err != nil {
		line += "; cannot be written down: " + err.Error()
	}
	return line
}
