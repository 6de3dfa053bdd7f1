package kad

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/put"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// putter stores one record: it has the nodes nearest to its key looked up, and sends them
// the record. The machine put.Put decides.
//
// In: lookupReply, answer. Out: startLookup and putEnded to lookups, ask. Its parent does not
// restart it.
//
// spec: kad B9.1
type putter struct {
	x       *core
	run     *run
	token   uint64
	machine *put.Put // nil: the lookup is under way
	asked   map[uint64]ID
}

func newPutter(x *core, r *run) actor.Actor { return &putter{x: x, run: r, asked: make(map[uint64]ID)} }

func (a *putter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.token = a.x.ref()
		c.Request(a.x.lookups, startLookup{
			Token: a.token, Target: a.run.put.Record.Key, Mode: lookup.ForNodes, Wide: a.run.put.Wide, Background: true,
		})
	case *actor.Stopping:
		c.Send(a.x.lookups, giveUp{a.token})
		a.x.withdraw(a.asked)
	case *lookupReply:
		a.found(c, m)
	case *answer:
		a.answer(c, m)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *putter) found(c actor.Context, m *lookupReply) {
	if m.Err != nil && len(m.Result.Nearest) == 0 {
		c.Send(a.x.lookups, putEnded{a.run.n, Report{Key: a.run.put.Record.Key, Quorum: a.x.Params.WriteQuorum}, m.Err})
		return
	}
	a.machine = put.New(a.run.put.Record.Key, append(slices.Clip(m.Result.Nearest), m.Result.Further...), put.Options{
		K: a.x.Params.K, Alpha: a.x.Params.Alpha, Quorum: a.x.Params.WriteQuorum, Compare: record.Compare,
	})
	a.step(c, put.Start{})
}

// step has the machine handle an event, and carries out what it decides.
func (a *putter) step(c actor.Context, e put.Event) {
	for _, f := range a.machine.Step(e) {
		switch f := f.(type) {
		case put.Store:
			ref := a.x.ref()
			a.asked[ref] = f.Contact.ID
			p := a.run.put
			a.x.ask(c.ActorSystem(), ask{
				ref: ref, to: f.Contact, msg: overlay.Message{Verb: overlay.Store, Record: p.Record, TTL: p.TTL}, reply: c.Self(),
			})
		case put.Done:
			c.Send(a.x.lookups, putEnded{a.run.n, f.Report, f.Err})
		}
	}
}

func (a *putter) answer(c actor.Context, m *answer) {
	id, ok := a.asked[m.ref]
	if !ok {
		return
	}
	delete(a.asked, m.ref)
	switch m.state {
	case answered:
		e := put.Replied{Peer: id, Status: m.msg.Status, Granted: m.msg.Granted}
		if r := m.msg.Record; r != nil && r.Key == a.run.put.Record.Key && a.x.check(r) == nil {
			e.Current = r
		}
		a.step(c, e)
	case answerSent:
		a.step(c, put.Gone{Peer: id})
	default:
		a.step(c, put.Lost{Peer: id, Why: m.why})
	}
}

// String is the put's line in the tree.
func (a *putter) String() string {
	return fmt.Sprintf("%s: %s under way", a.run.put.Record.Key.Short(), inspect.Count(uint64(len(a.asked)), "store"))
}
