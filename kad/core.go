package kad

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/kad/gateway"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/upkeep"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// core is what the actors of one client share. It outlives their incarnations.
type core struct {
	Config
	host Host
	self ID // in the overlay Seed set by open, before the client's actors start
	path string

	// The actors of the client.
	client, table, store, upkeep, lookups, gateways *actor.PID
	gates                                           []*gate

	view   atomic.Pointer[published] // of the routing table. Written by table.
	mode   atomic.Uint32
	state  atomic.Uint32 // a State. Written by upkeep.
	joined atomic.Bool   // the first lookup of the own id has ended. Written by upkeep.
	last   atomic.Uint64 // ref of the last request

	halfLife atomic.Int64              // of contacts, in nanoseconds; 0: unknown. Written by upkeep.
	disk     atomic.Pointer[diskFault] // nil: records can be written down. Written by store.

	former atomic.Pointer[[]upkeep.Former] // Written by upkeep.
	kept   atomic.Pointer[Kept]            // what was on the disk when the client started; the store takes the records out
	// unjudged are the kept contacts that this node has not yet tried in vain, nor reached.
	// Written by upkeep.
	unjudged       atomic.Pointer[map[ID]bool]
	commits, saves *turn // at the Keeper: of store, and of upkeep
	figures        figures
	running        *running // of lookups
	stored         storeState
	events         eventLog // of the client's own actor

	closing atomic.Bool
}

// diskFault is why the last commit of records failed.
type diskFault struct{ err error }

// trouble returns why records cannot be written down at present; nil: they can.
func (x *core) trouble() error {
	if f := x.disk.Load(); f != nil {
		return f.err
	}
	return nil
}

// fault notes why the last commit failed; nil: it did not.
func (x *core) fault(err error) {
	if err == nil {
		x.disk.Store(nil)
		return
	}
	x.disk.Store(&diskFault{err})
}

// published is a view of the table, with the number of the last change in it.
type published struct {
	*View
	changes uint64
}

// newCore returns the core of a client. Its config is complete.
func newCore(h Host, c Config, self ID) *core {
	x := &core{Config: c, host: h, self: self, path: h.Group().Id + "/" + c.Name, running: newRunning(), commits: newTurn(), saves: newTurn()}
	at := func(name string) *actor.PID { return h.System().NewLocalPID(x.path + name) }
	x.client, x.table, x.store = at(""), at("/table"), at("/store")
	x.upkeep, x.lookups, x.gateways = at("/upkeep"), at("/lookups"), at("/gateways")
	x.view.Store(&published{View: overlay.NewView(self, nil)})
	x.mode.Store(uint32(c.Mode))
	for i, n := range c.Networks {
		x.gates = append(x.gates, newGate(x, i, n))
		x.AllowPrivate = x.AllowPrivate || x.gates[i].limits.Private
	}
	return x
}

// modeNow returns the present mode.
func (x *core) modeNow() Mode { return Mode(x.mode.Load()) }

// ref returns a number for a request. No other request of the client has it.
func (x *core) ref() uint64 { return x.last.Add(1) }

// route returns the gateway that reaches a contact, and the address there.
func (x *core) route(c *Contact) (*gate, Address) {
	for _, g := range x.gates {
		if to := g.network.Route(*c); to != "" {
			return g, to
		}
	}
	return nil, ""
}

// after returns the way to a contact that follows the one to the address at through g.
func (x *core) after(c *Contact, g *gate, at Address) (*gate, Address) {
	if i := slices.Index(c.Addresses, at); i >= 0 {
		rest := *c
		rest.Addresses = c.Addresses[i+1:]
		if to := g.network.Route(rest); to != "" {
			return g, to
		}
	}
	for _, g := range x.gates[g.n+1:] {
		if to := g.network.Route(*c); to != "" {
			return g, to
		}
	}
	return nil, ""
}

// starts returns the contacts that a lookup begins with: the nearest of the table. While that is
// empty they are those that were in it before.
func (x *core) starts(target ID) []Contact {
	list := x.view.Load().Nearest(target, x.Params.K)
	if f := x.former.Load(); len(list) == 0 && f != nil {
		for i := range *f {
			list = append(list, (*f)[i].Contact)
		}
		overlay.SortByDistance(target, list)
		list = list[:min(len(list), x.Params.K)]
	}
	return list
}

// nobody returns why nobody has answered: no other node is known, or those that are, or were, do
// not answer.
func (x *core) nobody() error {
	former, waits := x.former.Load(), x.unjudged.Load()
	if x.view.Load().changes > 0 || len(x.Bootstrap) > 0 || former != nil && len(*former) > 0 || waits != nil && len(*waits) > 0 {
		return ErrIsolated
	}
	return ErrNoPeers
}

// usable reports whether a contact can be asked.
func (x *core) usable(c Contact) bool {
	g, _ := x.route(&c)
	return g != nil && c.ID != x.self
}

// onionOnly reports whether onion services lead to this client, and no other addresses.
func (x *core) onionOnly() (only bool) {
	for _, g := range x.gates {
		own := g.own.Load()
		if own == nil {
			continue
		}
		for _, a := range *own {
			if !a.Onion() {
				return false
			}
			only = true
		}
	}
	return only
}

// claims reports whether any network wants claims of contacts.
func (x *core) claims() bool {
	for _, g := range x.gates {
		if g.limits.Claims {
			return true
		}
	}
	return false
}

// ask has a gateway send a request. Reply to the actor: answer, once or, with a.slow, twice.
func (x *core) ask(sys *actor.ActorSystem, a ask) {
	a.core = x
	g, to := x.route(&a.to)
	if g == nil {
		a.end(sys, answer{ref: a.ref, state: answerLost, why: "no gateway reaches it"})
		return
	}
	a.route = to
	sys.Root.Send(g.pid, &a)
}

// listed returns nodes of which the networks know that they serve the overlay.
func (x *core) listed() []Contact {
	list := slices.Clip(x.Contacts)
	for _, g := range x.gates {
		if l, ok := g.network.(Lister); ok {
			list = append(list, l.Listed()...)
		}
	}
	return list
}

// violated reports a peer that gave a record which nobody can give by mistake: to its network,
// or to the gateway, which then ignores the peer.
//
// spec: kad B10.4
func (x *core) violated(peer *Contact, source supervisor.Source, err error) {
	g, at := x.route(peer)
	from := gateway.Request{Packet: overlay.Packet{Address: at, PublicKey: peer.PublicKey}}
	if in, ok := source.(*sender); ok {
		g, from.Packet = in.gate, in.Packet
	}
	if g == nil {
		return
	}
	if v, ok := g.network.(Violations); ok {
		v.Violated(*peer, source, err)
		return
	}
	x.tell(g.pid, gateway.Punish{Source: from.Source()})
}

// tell sends a message to an actor of the client.
func (x *core) tell(pid *actor.PID, m any) { x.host.System().Root.Send(pid, m) }

// check verifies a record that a peer sent.
func (x *core) check(r *Record) error { return record.Check(x.Overlay, r, x.host.Wall()) }

// figures are the counters of a client. All actors of the client write them.
type figures struct {
	lookups, lookupsFound, lookupsFailed, lookupsShared atomic.Uint64
	lookupAsked, hops                                   atomic.Uint64
	puts, putsPartial                                   atomic.Uint64
	published, replicated                               atomic.Uint64
	sent, answered, lost, resent                        [verbs]atomic.Uint64
	served                                              [verbs]atomic.Uint64
	took                                                [verbs]atomic.Int64 // nanoseconds, of those answered
	bytesIn, bytesOut                                   atomic.Uint64
	malformed, busy, unsolicited, refusedMode           atomic.Uint64
	refused                                             sync.Map // limit.Reason → *atomic.Uint64
	damaged                                             atomic.Uint64
}

// verbs is how many verbs there are.
const verbs = int(overlay.Reply) + 1

// countRefusal counts a request that a limit refused.
func (f *figures) countRefusal(why string) {
	n, _ := f.refused.LoadOrStore(why, new(atomic.Uint64))
	n.(*atomic.Uint64).Add(1)
}

func counter(n any) uint64 { return n.(*atomic.Uint64).Load() }

// wake is a timer for the machine of an actor. It fires at the earliest time that was asked
// for; when that is too early, the machine asks again.
type wake struct {
	timer *supervisor.Timer
	at    time.Time
}

// set asks for message at a time, unless the timer fires before that.
func (w *wake) set(c actor.Context, at time.Time, message any) {
	if w.timer != nil && !w.at.After(at) {
		return
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	w.at, w.timer = at, supervisor.At(c, at, message)
}

// fired notes that the message has come.
func (w *wake) fired() { w.timer = nil }
