package kad

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// lookupActor runs one lookup. The machine lookup.Lookup decides. When a value was found,
// lookupActor has a copy of it cached, and repairs holders with older versions.
//
// In: answer, lookupDue. Out: ask, contactBlamed to table, stepped and lookupEnded to
// lookups. Its parent does not restart it.
//
// spec: kad B7, B9.5
type lookupActor struct {
	x       *core
	run     *run
	machine *lookup.Lookup
	asked   map[uint64]ID // contacts under way, by ref
}

type lookupDue struct{}

func newLookup(x *core, r *run) actor.Actor {
	return &lookupActor{x: x, run: r, asked: make(map[uint64]ID)}
}

func (a *lookupActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case *actor.Stopping:
		a.x.withdraw(a.asked)
	case *answer:
		a.answer(c, m)
	case lookupDue:
		a.step(c, lookup.Due{})
	default:
		supervisor.Unhandled(c)
	}
}

func (a *lookupActor) start(c actor.Context) {
	x, key := a.x, a.run.key
	view := x.view.Load()
	o := lookup.Options{
		Mode: key.Mode, K: x.Params.K, Alpha: x.Params.Alpha, Quorum: key.Quorum, Wide: key.Wide, Limit: x.Params.LookupLimit,
		Spread: view.Spread, Compare: record.Compare, Usable: x.usable, Exclude: []ID{x.self},
	}
	if x.claims() {
		wall := supervisor.Wall(c)
		o.Verify = func(who Contact) error { return who.Verify(wall) }
	}
	a.machine = lookup.New(key.Target, o)
	a.step(c, lookup.Start{Contacts: x.starts(key.Target)})
}

// step has the machine handle an event, and carries out what it decides.
func (a *lookupActor) step(c actor.Context, e lookup.Event) {
	traced := false
	for _, f := range a.machine.Step(supervisor.Now(c), e) {
		switch f := f.(type) {
		case lookup.Ask:
			a.ask(c, f.Contact)
		case lookup.Blame:
			c.Send(a.x.table, contactBlamed{f.Peer, f.Why == lookup.NoNearer})
		case lookup.Hop:
			traced = a.run.trail.add(f.Step) || traced
		case lookup.Wake:
			supervisor.At(c, f.At, lookupDue{})
		case lookup.Done:
			a.done(c, f.Result)
			return
		}
	}
	if traced {
		c.Send(a.x.lookups, stepped{a.run.n})
	}
}

func (a *lookupActor) ask(c actor.Context, who Contact) {
	msg := overlay.Message{Verb: overlay.FindNode, Target: a.run.key.Target, Want: a.x.Params.K}
	if a.run.key.Mode != lookup.ForNodes {
		msg.Verb = overlay.FindValue
	}
	ref := a.x.ref()
	a.asked[ref] = who.ID
	a.x.ask(c.ActorSystem(), ask{ref: ref, to: who, msg: msg, reply: c.Self(), slow: true})
}

// answer takes in what became of a request.
func (a *lookupActor) answer(c actor.Context, m *answer) {
	id, ok := a.asked[m.ref]
	if !ok {
		return
	}
	if m.state == answerSlow {
		a.step(c, lookup.Slow{Peer: id})
		return
	}
	delete(a.asked, m.ref)
	if m.state != answered || m.msg.Status == overlay.RateLimited || m.msg.Status == overlay.Busy {
		a.step(c, lookup.Lost{Peer: id})
		return
	}
	e := lookup.Answered{Peer: id, Took: m.took, Contacts: m.msg.Contacts, Size: m.size}
	if r := m.msg.Record; r != nil && a.run.key.Mode != lookup.ForNodes {
		switch err := a.check(r); {
		case err == nil:
			e.Record = r
		case r.Key != a.run.key.Target, record.Violation(err):
			e.Forged = true
			a.x.violated(&m.peer, m.source, err)
		}
	}
	a.step(c, e)
}

// check returns nil for a valid record under the key that is looked for.
func (a *lookupActor) check(r *Record) error {
	if r.Key != a.run.key.Target {
		return ErrKeyMismatch
	}
	return a.x.check(r)
}

// done reports the end, and stores copies of a record that was found where they are missing.
func (a *lookupActor) done(c actor.Context, r LookupResult) {
	c.Send(a.x.lookups, lookupEnded{a.run.n, r})
	if r.Record == nil || a.x.Overlay != overlay.Native {
		return
	}
	if r.Record.Kind == overlay.Mutable {
		c.Send(a.x.store, confirmed{r.Record})
		a.repair(c, &r)
	}
	a.cache(c, &r)
}

// repair stores the newest version at those of the nearest that hold an older one, or none.
func (a *lookupActor) repair(c actor.Context, r *LookupResult) {
	for _, who := range r.Stale {
		a.x.ask(c.ActorSystem(), ask{ref: a.x.ref(), to: who, msg: overlay.Message{Verb: overlay.Store, Record: r.Record}})
	}
}

// cache stores a copy at the nearest contact that lacks the record.
func (a *lookupActor) cache(c actor.Context, r *LookupResult) {
	if r.Lacking == nil || r.Record.Kind == overlay.Mutable && slices.ContainsFunc(r.Stale, func(who Contact) bool { return who.ID == r.Lacking.ID }) {
		return
	}
	remaining := values.MaxLife
	if r.Record.Kind == overlay.Mutable {
		remaining = min(remaining, record.Life(r.Record, supervisor.Wall(c)))
	}
	between := 0
	for _, who := range a.x.view.Load().Nearest(a.run.key.Target, a.x.Params.K) {
		if who.ID == r.Lacking.ID {
			break
		}
		if a.run.key.Target.CompareDistance(who.ID, r.Lacking.ID) < 0 {
			between++
		}
	}
	a.x.ask(c.ActorSystem(), ask{ref: a.x.ref(), to: *r.Lacking, msg: overlay.Message{
		Verb: overlay.Store, Record: r.Record, Cached: true, TTL: max(values.CachedLife(remaining, between), time.Second),
	}})
}

// String is the lookup's line in the tree.
func (a *lookupActor) String() string {
	return fmt.Sprintf("%s: %s under way", a.run.key.Target.Short(), inspect.Count(uint64(len(a.asked)), "request"))
}
