// Package reachpart is the part of a node that keeps true what it tells others of its addresses.
package reachpart

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Settings say what follows the machine's addresses.
type Settings struct {
	// Interfaces returns the addresses of the machine.
	Interfaces func() ([]transport.Interface, error)
	// Own returns the addresses that the node may tell others now. It is nil when the user has
	// set them, and returns none when the user does so later.
	Own func() []ma.Multiaddr
	// Claimed returns the addresses that others are told now, and Given reports whether the user
	// has set them. Listening returns the addresses that the node listens on.
	Claimed, Listening func() []ma.Multiaddr
	Given              func() bool
	// LoopbackOnly says that only programs on this machine can connect, and peers elsewhere are known.
	LoopbackOnly bool
	// Ports returns the TCP ports at which the node may be reached. Trusted reports whether the
	// user has named a peer.
	Ports   func() []uint16
	Trusted func(identity.NodeID) bool
	// Most is how many addresses others are told, and Private says that those of private networks
	// may be among them.
	Most    int
	Private bool
	// Judge has the node find out whether others can connect to it, and help others to.
	Judge bool
	// Clock has the node ask others for their time, and tell them its own. ClockOff is how far the
	// time of others may be from its own.
	Clock    bool
	ClockOff time.Duration
	// DialBack has this node connect to others that ask for it, to see whether they can be reached.
	DialBack bool
	// Home returns where the node should listen now. It is nil when that does not change.
	Home func(ctx context.Context) (netip.Addr, error)
}

// Reach is the part. Its actors share it, and it outlives their incarnations.
type Reach struct {
	Settings
	trunk          Trunk
	watcher, judge *actor.PID
	clock          *actor.PID

	watch     reach.Watch    // of the actor watch, as is announced
	announced []ma.Multiaddr // what others were told last

	present  atomic.Pointer[[]netip.Addr]            // the machine's addresses; written by watch
	moved    atomic.Pointer[Moved]                   // written by watch
	verdicts atomic.Pointer[[]protocol.Reachability] // written by judge
	proven   atomic.Pointer[[]netip.AddrPort]        // written by judge

	duplicate     *reach.Duplicate              // of the actor clock; it outlives its incarnations
	clockTold     atomic.Pointer[clockTold]     // written by clock
	duplicateTold atomic.Pointer[duplicateTold] // written by clock
}

// New returns the part. It must be called before the node's actors start.
func New(t Trunk, s Settings) *Reach {
	r := &Reach{Settings: s, trunk: t, watcher: t.PID("reach/watch"), judge: t.PID("reach/judge"), clock: t.PID("reach/clock")}
	if s.Clock {
		r.duplicate = reach.NewDuplicate(t.Now(), t.Wall(), s.Private)
	}
	return r
}

// Off returns the part of a node that does not follow the machine's addresses.
func Off(t Trunk, s Settings) actors.Part {
	return actors.Part{Name: name, Warnings: New(t, s).warnings}
}

// Moved is a change of the addresses that others are told.
type Moved struct {
	At     time.Time
	Before []ma.Multiaddr
}

// Moved returns the last change; ok is false if there was none.
func (r *Reach) Moved() (m Moved, ok bool) {
	if p := r.moved.Load(); p != nil {
		return *p, true
	}
	return m, false
}

// Look has the machine's addresses looked at, and others asked whether they can connect, at once.
func (r *Reach) Look() {
	root := r.trunk.System().Root
	root.Send(r.watcher, lookNow{})
	if r.Judge {
		root.Send(r.judge, lookNow{})
	}
}

// Verdicts returns at which addresses others can connect to this node, as far as it is known.
func (r *Reach) Verdicts() []protocol.Reachability {
	if v := r.verdicts.Load(); v != nil {
		return *v
	}
	return nil
}

func (r *Reach) provenNow() []netip.AddrPort {
	if p := r.proven.Load(); p != nil {
		return *p
	}
	return nil
}

// Addresses returns the addresses of the machine.
func (r *Reach) Addresses() []netip.Addr {
	if p := r.present.Load(); p != nil {
		return *p
	}
	return nil
}

// own returns the addresses to tell others. With a public one that is proven, a node of a public
// network tells no private one (spec: V 3).
func (r *Reach) own() []ma.Multiaddr {
	list := slices.Clone(r.Own())
	if len(list) == 0 {
		return nil
	}
	for _, at := range r.provenNow() {
		if address.Public(at.Addr()) == nil {
			list = append(list, transport.FromAddrPort(at))
		}
	}
	if !r.Private && slices.ContainsFunc(list, address.External) {
		list = slices.DeleteFunc(list, func(a ma.Multiaddr) bool { return !address.External(a) })
	}
	return address.Claimable(list, r.Most)
}

// draining reports whether the node makes no new connections now.
func (r *Reach) draining() bool {
	_, ok := r.trunk.Draining()
	return ok
}

// Part returns the actors.
func (r *Reach) Part() actors.Part {
	list := []supervisor.Spec{{Name: "watch", Kind: "watch", New: func() actor.Actor { return &watch{r: r} }}}
	if r.Judge {
		list = append(list, supervisor.Spec{Name: "judge", Kind: "judge", New: func() actor.Actor { return &judge{r: r} }})
	}
	if r.Clock {
		list = append(list,
			supervisor.Spec{Name: "clock", Kind: "clock", New: func() actor.Actor { return &clock{r: r} }},
			supervisor.Spec{Name: "server", Kind: "reachServer", New: func() actor.Actor { return &server{r: r} }})
	}
	return actors.Part{
		Name:   name,
		Actors: list,
		Policy: supervisor.Policy{Action: supervisor.Isolate, Retry: retry},
		Node:   r.node, Warnings: r.warnings, Degraded: func() models.Notices { return r.ownIdentity(reach.Proven) },
	}
}

const name = "reach"

// retry is how long the actor rests that has failed too often.
const retry = 30 * time.Second

// watch looks at the addresses of the machine every 2 s. When they have changed, it ends the
// connections that are dead by that, has the node listen on the right address, and tells others.
//
// In: AddressesSet, ListenerMoved, provenChanged. Out: networkChanged to judge, SetAddresses, MoveListener, CloseConn, suspectConn, dialAnew,
// event AddressesChanged. A restart loses nothing but an answer that is awaited.
type watch struct {
	r        *Reach
	setting  []ma.Multiaddr // that services was asked to set
	next     *supervisor.Timer
	homing   bool // where to listen is being looked for
	troubled bool // the system does not tell its addresses; logged
}

type (
	lookTick struct{}
	looked   struct{ present []reach.Interface }
	homed    struct{ at netip.Addr } // where to listen
)

func (w *watch) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		if w.r.announced != nil { // what the incarnation before was about to tell is not known
			w.r.watch.Failed()
		} else if w.r.Own != nil {
			w.r.announced = w.r.own()
		}
		w.look(c)
	case lookTick:
		w.next = nil
		w.look(c)
	case lookNow:
		if w.next != nil { // else a look is under way
			w.next.Stop()
			w.next = nil
			w.look(c)
		}
	case supervisor.Done[looked]:
		w.looked(c, m.Value, m.Err)
	case supervisor.Done[homed]:
		w.homed(c, m.Value, m.Err)
	case connections.ListenerMoved:
		if m.Err != nil {
			supervisor.Log(c).Error("the node cannot listen on the machine's new address; it tries again", "err", m.Err)
			w.r.watch.Want()
		}
		w.tell(c)
	case users.AddressesSet:
		w.set(c, m.Err)
	case provenChanged:
		w.r.watch.Want()
	default:
		supervisor.Unhandled(c)
	}
}

// look asks the system for its addresses.
func (w *watch) look(c actor.Context) {
	r := w.r
	supervisor.Do(c, "look", func(context.Context) (l looked, err error) {
		all, err := r.Interfaces()
		for _, i := range all {
			l.present = append(l.present, reach.Interface{Addr: i.Addr, Down: !i.Running})
		}
		return l, err
	})
}

// home asks the system where to listen.
func (w *watch) home(c actor.Context) {
	if w.homing {
		return
	}
	w.homing = true
	r := w.r
	supervisor.Do(c, "home", func(ctx context.Context) (h homed, err error) {
		h.at, err = r.Home(ctx)
		return h, err
	})
}

// homed has the node listen there. Without a way to others yet, such as before the machine has its
// default route, the next look tries again.
func (w *watch) homed(c actor.Context, h homed, err error) {
	w.homing = false
	if err != nil {
		supervisor.Log(c).Debug("no way to a peer elsewhere yet", "err", err)
		w.r.watch.Failed()
		return
	}
	w.r.trunk.MoveListener(h.at, c.Self())
}

func (w *watch) looked(c actor.Context, l looked, err error) {
	w.next = supervisor.After(c, reach.Look, lookTick{})
	if err != nil {
		if !w.troubled {
			supervisor.Log(c).Warn("the addresses of this machine cannot be followed", "err", err)
		}
		w.troubled = true
		return
	}
	w.troubled = false
	w.note(c, l.present)
	f := w.r.watch.Look(supervisor.Now(c), l.present)
	for _, ip := range f.Gone {
		w.r.trunk.AddressGone(ip)
	}
	for _, ip := range f.Unplugged {
		w.r.trunk.Unplugged(ip)
	}
	if f.Way {
		w.r.trunk.DialAnew()
	}
	if len(f.Added)+len(f.Gone)+len(f.Unplugged) > 0 {
		supervisor.Log(c).Info("the network of this machine has changed", "new", f.Added, "gone", f.Gone, "unplugged", f.Unplugged)
	}
	switch {
	case !f.Tell:
	case w.r.Home != nil:
		w.home(c)
	default:
		w.tell(c)
	}
}

// note has judge know the machine's addresses.
func (w *watch) note(c actor.Context, all []reach.Interface) {
	list := make([]netip.Addr, len(all))
	for i := range all {
		list[i] = all[i].Addr
	}
	slices.SortFunc(list, netip.Addr.Compare)
	if !slices.Equal(list, w.r.Addresses()) {
		w.r.present.Store(&list)
		if w.r.Judge {
			c.Send(w.r.judge, networkChanged{})
		}
	}
}

// tell tells others the present addresses, if they differ from those that they were told.
func (w *watch) tell(c actor.Context) {
	if w.r.Own == nil {
		return
	}
	own := w.r.own()
	if len(own) == 0 || slices.EqualFunc(own, w.r.announced, ma.Multiaddr.Equal) {
		return // without a network the last addresses stay: a claim needs one
	}
	w.setting = own
	w.r.trunk.SetAddresses(own, c.Self())
}

func (w *watch) set(c actor.Context, err error) {
	if w.setting == nil { // the incarnation before has asked, and this one will ask again
		return
	}
	if err != nil {
		supervisor.Log(c).Error("the new addresses cannot be told others; the node tries again", "addrs", w.setting, "err", err)
		w.r.watch.Want()
		return
	}
	if len(w.r.announced) > 0 {
		w.r.moved.Store(&Moved{supervisor.Now(c), w.r.announced})
	}
	w.r.announced = w.setting
	supervisor.Log(c).Info("address changed", "addrs", w.r.announced)
	supervisor.Publish(c, actors.AddressesChanged{Addresses: w.r.announced})
}
