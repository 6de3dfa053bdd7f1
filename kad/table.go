package kad

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/table"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// tableActor is the only writer of the routing table. It publishes the view that all
// others read.
//
// In: contactAnswered, contactFailed, contactAsked, contactBlamed, joined,
// churned, event PeerBanned, answer, tableHas. Out: contactAdded and contactRemoved to upkeep and to the client's actor,
// ask, tableHas to upkeep. A restart begins with the contacts of the last view, which stays readable; candidates
// and replacements are lost.
//
// spec: kad B4
type tableActor struct {
	x       *core
	table   *table.Table
	due     wake
	show    *supervisor.Timer
	changes uint64 // of the live contacts
	missing map[ID]overlay.TableEntry
}

type (
	// contactAnswered: a contact has answered a request of this client.
	contactAnswered struct {
		contact                     Contact
		took                        time.Duration
		measured, echoed, candidate bool
		source                      supervisor.Source
	}
	// contactFailed: a contact has not answered. at is where it was asked; "" stands for
	// where the table has it.
	contactFailed struct {
		id ID
		at Address
	}
	// contactAsked: a node that the table does not have has asked something.
	contactAsked struct {
		contact Contact
		source  supervisor.Source
	}
	// contactBlamed: a contact has misled a lookup.
	contactBlamed struct {
		id   ID
		mild bool
	}
	// joined: the first lookup of the own id has ended.
	joined struct{}
	// churned: half of the contacts live that long.
	churned struct{ halfLife time.Duration }

	// tableHas asks table to say that it has taken in what it was sent before. Reply: tableHas.
	tableHas struct{ ref uint64 }

	tableDue  struct{}
	tableShow struct{}
)

func (m *contactAnswered) Source() supervisor.Source { return m.source }
func (m *contactAsked) Source() supervisor.Source    { return m.source }

// showEvery is how late the view may be about answers of contacts that it has.
//
// spec: kad B4.10
const showEvery = 20 * time.Millisecond

func newTableActor(x *core) actor.Actor { return &tableActor{x: x} }

func (a *tableActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case *contactAnswered:
		a.step(c, table.Answered{
			Contact: m.contact, Took: m.took, Measured: m.measured, Echoed: m.echoed, Candidate: m.candidate,
		})
	case contactFailed:
		a.step(c, table.Failed{ID: m.id, Address: m.at})
	case *contactAsked:
		a.step(c, table.Asked{Contact: m.contact})
	case contactBlamed:
		a.step(c, table.Blamed{ID: m.id, Mild: m.mild})
	case actors.PeerBanned:
		a.step(c, table.Banned{})
	case joined:
		a.step(c, table.Joined{})
	case churned:
		a.step(c, table.Churn{HalfLife: m.halfLife})
	case tableHas:
		supervisor.Reply(c, m)
	case tableDue:
		a.due.fired()
		a.step(c, table.Due{})
	case tableShow:
		a.show = nil
		a.publish()
	default:
		supervisor.Unhandled(c)
	}
}

func (a *tableActor) start(c actor.Context) {
	x := a.x
	supervisor.Subscribe[actors.PeerBanned](c)
	a.table = table.New(x.self, table.Options{
		Overlay: x.Overlay, IDLen: x.idLen(), K: x.Params.K, AllowPrivate: x.AllowPrivate, Rand: supervisor.Rand(c).Rand,
		Banned: x.host.Banned, OnionOnly: x.onionOnly,
	})
	last := x.view.Load()
	a.changes = last.changes
	if x.joined.Load() {
		a.step(c, table.Joined{})
	}
	a.missing = make(map[ID]overlay.TableEntry, last.Len())
	for i := range last.Buckets() {
		for _, e := range last.Bucket(i) {
			a.missing[e.Contact.ID] = e
		}
	}
	for i := range last.Buckets() {
		for _, e := range last.Bucket(i) {
			a.step(c, table.Answered{Contact: e.Contact})
		}
	}
	lost := a.missing
	a.missing = nil
	a.publish()
	for i := range last.Buckets() {
		for _, e := range last.Bucket(i) {
			if _, ok := lost[e.Contact.ID]; ok {
				a.removed(c, e.Contact, supervisor.Now(c).Sub(e.Since), false)
			}
		}
	}
}

// step has the table handle an event, and carries out what it decides.
func (a *tableActor) step(c actor.Context, e table.Event) {
	effects := a.table.Step(supervisor.Now(c), e)
	live, announced := false, a.changes
	for _, f := range effects {
		switch f := f.(type) {
		case table.Added:
			live = true
			if _, ok := a.missing[f.Contact.ID]; !ok {
				announced++
			}
		case table.Removed:
			live = true
			if a.missing == nil {
				announced++
			}
		}
	}
	if live { // before it is announced, with the number of the last announcement
		a.x.view.Store(&published{a.table.View(), announced})
	} else {
		a.later(c)
	}
	for _, f := range effects {
		switch f := f.(type) {
		case table.Probe:
			a.probe(c, f)
		case table.Added:
			a.added(c, f.Contact)
		case table.Removed:
			a.removed(c, f.Contact, f.Lived, f.Why == table.Ban)
		case table.Wake:
			a.due.set(c, f.At, tableDue{})
		}
	}
}

// probe has a gateway ask a contact something.
func (a *tableActor) probe(c actor.Context, f table.Probe) {
	verb := overlay.Ping
	if f.Candidate {
		verb = overlay.FindNode
	}
	g, _ := a.x.route(&f.Contact)
	if g == nil {
		c.Send(c.Self(), contactFailed{id: f.Contact.ID})
		return
	}
	a.x.ask(c.ActorSystem(), ask{
		ref: a.x.ref(), to: f.Contact, msg: overlay.Message{Verb: verb, Target: a.x.self}, candidate: f.Candidate,
	})
}

func (a *tableActor) added(c actor.Context, who Contact) {
	if _, ok := a.missing[who.ID]; ok { // it was there before the restart
		delete(a.missing, who.ID)
		return
	}
	a.changes++
	c.Send(a.x.upkeep, contactAdded{who, a.changes})
	c.Send(a.x.client, happened{Event{Kind: ContactAdded, Contact: who}})
}

func (a *tableActor) removed(c actor.Context, who Contact, lived time.Duration, banned bool) {
	if a.missing != nil {
		return // start tells
	}
	a.changes++
	c.Send(a.x.upkeep, contactRemoved{who, lived, banned, a.changes})
	c.Send(a.x.client, happened{Event{Kind: ContactRemoved, Contact: who}})
}

// publish shows the table to all readers.
func (a *tableActor) publish() {
	a.x.view.Store(&published{a.table.View(), a.changes})
}

// later publishes within showEvery.
func (a *tableActor) later(c actor.Context) {
	if a.show == nil {
		a.show = supervisor.After(c, showEvery, tableShow{})
	}
}

// String is the table's line in the tree.
func (a *tableActor) String() string {
	if a.table == nil {
		return "starting"
	}
	return fmt.Sprintf("%s in %s, %s", inspect.Count(uint64(a.table.Len()), "contact"),
		inspect.Count(uint64(a.x.view.Load().Buckets()), "bucket"), inspect.Count(uint64(a.table.Candidates()), "candidate"))
}
