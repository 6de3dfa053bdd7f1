package kad

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/upkeep"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// upkeepActor enters the network, and keeps its client well connected and its records
// stored. The machine upkeep.Machine decides.
//
// In: contactAdded, contactRemoved, nodeAsked, answer, tableHas, lookedUp, recordHeld, recordDropped,
// ownRecord, ownForgotten, ownPublished, LookupDone and PutDone, recordRead. Out: ask,
// joined, churned and tableHas to table, startLookup and startPut to lookups, readRecord to store,
// stateChanged. A restart loses probes under way; schedules are made again from the view and
// the store.
//
// spec: kad B4.9, B5, B9
type upkeepActor struct {
	x       *core
	machine *upkeep.Machine
	turn    uint64 // of this incarnation, in x.saves
	due     wake
	writing bool
	changes uint64 // of the table that the machine knows
	probes  map[uint64]upkeep.Probe
	work    map[uint64]job // by the token of what was asked for
	asked   int
	answers int

	finishing *actor.PID // it waits until the contacts are written
}

// job is a record that is being stored again.
type job struct {
	key  Key
	own  bool
	held *overlay.Record // nil: it is being read
}

type (
	contactAdded struct {
		contact Contact
		change  uint64
	}
	contactRemoved struct {
		contact Contact
		lived   time.Duration
		banned  bool
		change  uint64
	}
	// nodeAsked: a node has asked this one something, or has connected and serves others. It
	// counts until the client is ready.
	nodeAsked struct {
		contact Contact
		source  supervisor.Source
	}
	// lookedUp: a lookup has ended.
	lookedUp struct {
		target  ID
		nearest []Contact
	}
	// recordHeld and recordDropped tell which records of others are stored here.
	recordHeld    struct{ key Key }
	recordDropped struct{ keys []Key }
	// ownRecord: a record is published next at due.
	ownRecord struct {
		key Key
		due time.Time
	}
	ownForgotten struct{ key Key }
	// ownPublished: a caller has published a record. ok says that enough nodes store it. It comes
	// through store, which drops it if the record is not the publication any more.
	ownPublished struct {
		record *overlay.Record
		ok     bool
	}

	upkeepDue  struct{}
	upkeepSave struct{}
	tableSaved struct{}
)

func (m *nodeAsked) Source() supervisor.Source { return m.source }

// saveEvery is how often the contacts are written to the disk (spec: kad B12).
const saveEvery = 30 * time.Second

// keptFor is the age beyond which a contact of an earlier run is not probed (spec: kad B5).
const keptFor = 5 * 24 * time.Hour

func newUpkeepActor(x *core) actor.Actor {
	return &upkeepActor{x: x, probes: make(map[uint64]upkeep.Probe), work: make(map[uint64]job)}
}

func (a *upkeepActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case contactAdded:
		if m.change > a.changes {
			a.changes = m.change
			a.step(c, upkeep.Added{Contact: m.contact})
		}
	case contactRemoved:
		if m.change > a.changes {
			a.changes = m.change
			a.step(c, upkeep.Removed{Contact: m.contact, Lived: m.lived, Banned: m.banned})
		}
	case *nodeAsked:
		a.step(c, upkeep.Asked{Contact: m.contact})
	case *answer:
		a.probed(c, m)
	case tableHas:
		a.probeEnded(c, m.ref, true)
	case lookedUp:
		a.step(c, upkeep.LookedUp{Target: m.target, Nearest: m.nearest})
	case *lookupReply:
		// lookedUp has told it
	case recordHeld:
		a.step(c, upkeep.Held{Key: m.key})
	case recordDropped:
		for _, key := range m.keys {
			a.step(c, upkeep.Dropped{Key: key})
		}
	case ownRecord:
		a.step(c, upkeep.Own{Key: m.key, Due: m.due})
	case ownForgotten:
		a.step(c, upkeep.Forgotten{Key: m.key})
	case ownPublished:
		a.plan(c, m.record, m.ok)
	case recordRead:
		a.read(c, m)
	case *putReply:
		a.put(c, m)
	case upkeepDue:
		a.due.fired()
		a.step(c, upkeep.Due{})
	case upkeepSave:
		a.saveContacts(c)
	case supervisor.Done[tableSaved]:
		a.saved(c, m.Err)
	case finish:
		a.finishing = c.Sender()
		if a.x.Keeper == nil {
			a.saved(c, nil)
			return
		}
		a.saveContacts(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *upkeepActor) start(c actor.Context) {
	x := a.x
	a.turn = x.saves.next()
	first := x.view.Load() // Start counts its contacts, and changes since are counted one by one
	view := func() *View {
		if first != nil {
			return first.View
		}
		return x.view.Load().View
	}
	a.changes = first.changes
	a.machine = upkeep.New(x.self, upkeep.Options{
		Overlay: x.Overlay, IDLen: x.idLen(), Publish: x.Params.Publish, Rand: supervisor.Rand(c).Rand,
		View: view, Listed: x.listed,
	})
	e := upkeep.Start{Bootstrap: x.Bootstrap, Joined: x.joined.Load()}
	if f := x.former.Load(); f != nil {
		e.Former = *f
	}
	if kept := x.kept.Load(); kept != nil {
		wall := supervisor.Wall(c)
		for _, k := range kept.Contacts {
			if x.waits(k, wall) {
				e.Persisted = append(e.Persisted, k.Contact)
			}
		}
		if e.Former == nil {
			e.Former = formerOf(kept.Former, supervisor.Now(c), wall)
		}
	}
	c.Send(x.store, tellUpkeep{})
	a.step(c, e)
	first = nil
	if x.Keeper != nil {
		supervisor.Every(c, saveEvery, upkeepSave{})
	}
}

// step has the machine handle an event, and carries out what it decides.
func (a *upkeepActor) step(c actor.Context, e upkeep.Event) {
	for _, f := range a.machine.Step(supervisor.Now(c), e) {
		switch f := f.(type) {
		case upkeep.Probe:
			a.probe(c, f)
		case upkeep.Lookup:
			c.Request(a.x.lookups, startLookup{Token: a.x.ref(), Target: f.Target, Mode: lookup.ForNodes, Background: true})
		case upkeep.Replicate:
			a.readFirst(c, job{key: f.Key})
		case upkeep.Publish:
			a.readFirst(c, job{key: f.Key, own: true})
		case upkeep.Joined:
			a.x.joined.Store(true)
			c.Send(a.x.table, joined{})
		case upkeep.Churn:
			a.x.halfLife.Store(int64(f.HalfLife))
			c.Send(a.x.table, churned{f.HalfLife})
		case upkeep.Changed:
			a.changed(c, f)
		case upkeep.Wake:
			a.due.set(c, f.At, upkeepDue{})
		}
	}
	switch e.(type) { // what can change them
	case upkeep.Start, upkeep.Added, upkeep.Removed, upkeep.Probed:
		former := a.machine.Former()
		a.x.former.Store(&former)
		a.x.unjudged.Store(idsOf(a.machine.Persisted()))
	}
}

func (a *upkeepActor) changed(c actor.Context, f upkeep.Changed) {
	was := State(a.x.state.Swap(uint32(f.State)))
	a.asked, a.answers = f.Asked, f.Answered
	if was == f.State {
		return
	}
	supervisor.Log(c).Debug("state changed", "state", f.State.String())
	kind := StateChanged
	c.Send(a.x.client, happened{Event{Kind: kind, State: f.State}})
}

// probe has a gateway ask a contact for this node's own id.
func (a *upkeepActor) probe(c actor.Context, f upkeep.Probe) {
	ref := a.x.ref()
	a.probes[ref] = f
	a.x.ask(c.ActorSystem(), ask{ref: ref, to: f.Contact, msg: overlay.Message{Verb: overlay.FindNode, Target: a.x.self}, reply: c.Self(), once: f.Once()})
}

// probed takes in what became of a probe. The lookup that may follow begins with the contacts
// of the view, so that table first takes in who has answered.
func (a *upkeepActor) probed(c actor.Context, m *answer) {
	if m.state == answered {
		c.Request(a.x.table, tableHas{m.ref})
		return
	}
	a.probeEnded(c, m.ref, false)
}

func (a *upkeepActor) probeEnded(c actor.Context, ref uint64, answered bool) {
	p, ok := a.probes[ref]
	if !ok {
		return
	}
	delete(a.probes, ref)
	a.step(c, upkeep.Probed{Contact: p.Contact, Answered: answered})
}

// readFirst asks the store for a record that is to be stored again.
func (a *upkeepActor) readFirst(c actor.Context, j job) {
	token := a.x.ref()
	a.work[token] = j
	c.Request(a.x.store, readRecord{token: token, key: j.key, own: j.own})
}

func (a *upkeepActor) read(c actor.Context, m recordRead) {
	j, ok := a.work[m.token]
	if !ok {
		return
	}
	switch {
	case m.record == nil || m.cached:
		delete(a.work, m.token)
		if j.own {
			a.step(c, upkeep.Forgotten{Key: j.key})
		} else {
			a.step(c, upkeep.Dropped{Key: j.key})
		}
	default:
		j.held = m.record
		a.work[m.token] = j
		c.Request(a.x.lookups, startPut{Token: m.token, Record: m.record, TTL: m.life, Wide: j.own, Background: true})
	}
}

func (a *upkeepActor) put(c actor.Context, m *putReply) {
	j, ok := a.work[m.Token]
	if !ok {
		return
	}
	delete(a.work, m.Token)
	if j.own {
		a.published(c, j.held, m.Report.Accepted > 0 && m.Err == nil)
		return
	}
	a.x.figures.replicated.Add(1)
	if a.x.view.Load().Nearer(supervisor.Now(c), j.key, notCloseAt) >= notCloseAt {
		c.Send(a.x.store, demote{j.key})
		a.step(c, upkeep.Dropped{Key: j.key})
		return
	}
	a.step(c, upkeep.Replicated{Key: j.key})
}

// published plans the next publication of a record, which the machine began.
func (a *upkeepActor) published(c actor.Context, r *overlay.Record, ok bool) {
	a.step(c, upkeep.Published{Key: r.Key, OK: ok})
	c.Send(a.x.store, ownDue{r, a.next(c, ok)})
}

// plan plans the next publication of a record that a caller has published.
func (a *upkeepActor) plan(c actor.Context, r *overlay.Record, ok bool) {
	due := a.next(c, ok)
	a.step(c, upkeep.Own{Key: r.Key, Due: due})
	c.Send(a.x.store, ownDue{r, due})
}

// next returns when a record is published again (spec: kad B9.3).
func (a *upkeepActor) next(c actor.Context, ok bool) time.Time {
	most := latest(a.x.Params.Publish)
	after := most - time.Duration(supervisor.Rand(c).Int64N(int64(a.x.Params.Publish)/5+1))
	if ok {
		a.x.figures.published.Add(1)
	} else {
		after = min(retryPublish, after)
	}
	return supervisor.Now(c).Add(after)
}

// latest is how much later a record is published again at most, if that happens about every
// every.
func latest(every time.Duration) time.Duration { return every + every/10 }

// retryPublish is when a publication that failed is tried again.
const retryPublish = time.Minute

// saveContacts writes the table and the former contacts to the disk.
func (a *upkeepActor) saveContacts(c actor.Context) {
	if a.writing {
		return
	}
	a.writing = true
	contacts, former := a.x.contactsToKeep()
	keeper, saves, mine := a.x.Keeper, a.x.saves, a.turn
	supervisor.Do(c, "save contacts", func(ctx context.Context) (tableSaved, error) {
		return inTurn(ctx, saves, mine, func() (tableSaved, error) { return tableSaved{}, keeper.SaveContacts(ctx, contacts, former) })
	})
}

func (a *upkeepActor) saved(c actor.Context, err error) {
	a.writing = false
	if a.finishing != nil {
		c.Send(a.finishing, finished{"upkeep"})
		a.finishing = nil
	}
	if err != nil {
		supervisor.Log(c).Warn("contacts cannot be written down; after a restart the client needs bootstrap addresses", "err", err)
	}
}

// String is the upkeep's line in the tree.
func (a *upkeepActor) String() string {
	if a.machine == nil {
		return "starting"
	}
	line := a.machine.State().String()
	if a.machine.State() == Bootstrapping {
		line += fmt.Sprintf(" (%d of %d answered)", a.answers, a.asked)
	}
	held, own := a.machine.Records()
	line += fmt.Sprintf(", stores %s again, publishes %d", inspect.Count(uint64(held), "record"), own)
	if h := a.machine.HalfLife(); h > 0 {
		line += fmt.Sprintf(", half-life %v", h.Round(time.Minute))
	}
	return line
}
