// Package reach is the part of a node that keeps true what it tells others of its addresses.
package reach

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol/reach"
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
	// Home returns where the node should listen now. It is nil when that does not change.
	Home func(ctx context.Context) (netip.Addr, error)
}

// Reach is the part. Its actor shares it, and it outlives the actor's incarnations.
type Reach struct {
	Settings
	trunk Trunk
	watch reach.Watch
	told  []ma.Multiaddr
}

// New returns the part. It must be called before the node's actors start.
func New(t Trunk, s Settings) *Reach { return &Reach{Settings: s, trunk: t} }

// Part returns the actor.
func (r *Reach) Part() actors.Part {
	return actors.Part{
		Name: "reach",
		Actors: []supervisor.Spec{{
			Name: "watch", Kind: "watch", New: func() actor.Actor { return &watch{r: r} },
		}},
		Policy: supervisor.Policy{Action: supervisor.Isolate, Retry: retry},
	}
}

// retry is how long the actor rests that has failed too often.
const retry = 30 * time.Second

// watch looks at the addresses of the machine every 2 s. When they have changed, it ends the
// connections that are dead by that, has the node listen on the right address, and tells others.
//
// In: AddressesSet, ListenerMoved. Out: SetAddresses, MoveListener, CloseConn, suspectConn,
// event AddressesChanged. A restart loses nothing but an answer that is awaited.
type watch struct {
	r        *Reach
	setting  []ma.Multiaddr // that services was asked to set
	troubled bool           // the system does not tell its addresses; logged
}

type (
	lookTick struct{}
	looked   struct {
		present []reach.Interface
		home    netip.Addr // where to listen; not valid: as before
	}
)

func (w *watch) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		if w.r.told == nil && w.r.Own != nil {
			w.r.told = w.r.Own()
		}
		w.look(c, false)
	case lookTick:
		w.look(c, false)
	case supervisor.Done[looked]:
		w.looked(c, m.Value, m.Err)
	case actors.ListenerMoved:
		if m.Err != nil {
			supervisor.Log(c).Error("the node cannot listen on the machine's new address; start it again", "err", m.Err)
		}
		w.tell(c)
	case actors.AddressesSet:
		w.set(c, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

// look asks the system for its addresses, and where to listen if they have changed.
func (w *watch) look(c actor.Context, changed bool) {
	r := w.r
	supervisor.Do(c, "look", func(ctx context.Context) (l looked, err error) {
		if changed {
			if l.home, err = r.Home(ctx); err != nil {
				return l, fmt.Errorf("where to listen: %w", err)
			}
			return l, nil
		}
		all, err := r.Interfaces()
		for _, i := range all {
			l.present = append(l.present, reach.Interface{Addr: i.Addr, Down: !i.Running})
		}
		return l, err
	})
}

func (w *watch) looked(c actor.Context, l looked, err error) {
	if l.home.IsValid() {
		w.r.trunk.MoveListener(l.home, c.Self())
		return
	}
	supervisor.After(c, reach.Look, lookTick{})
	if err != nil {
		if !w.troubled {
			supervisor.Log(c).Warn("the addresses of this machine cannot be followed", "err", err)
		}
		w.troubled = true
		return
	}
	w.troubled = false
	f := w.r.watch.Look(supervisor.Now(c), l.present)
	for _, ip := range f.Gone {
		w.r.trunk.AddressGone(ip)
	}
	for _, ip := range f.Unplugged {
		w.r.trunk.Unplugged(ip)
	}
	if len(f.Added)+len(f.Gone)+len(f.Unplugged) > 0 {
		supervisor.Log(c).Info("the network of this machine has changed", "new", f.Added, "gone", f.Gone, "unplugged", f.Unplugged)
	}
	switch {
	case !f.Tell:
	case w.r.Home != nil:
		w.look(c, true)
	default:
		w.tell(c)
	}
}

// tell tells others the present addresses, if they differ from those that they were told.
func (w *watch) tell(c actor.Context) {
	if w.r.Own == nil {
		return
	}
	own := w.r.Own()
	if len(own) == 0 || slices.EqualFunc(own, w.r.told, ma.Multiaddr.Equal) {
		return // without a network the last addresses stay: a claim needs one
	}
	w.setting = own
	w.r.trunk.SetAddresses(own, c.Self())
}

func (w *watch) set(c actor.Context, err error) {
	if err != nil {
		supervisor.Log(c).Error("the new addresses cannot be told others", "addrs", w.setting, "err", err)
		return
	}
	w.r.told = w.setting
	supervisor.Log(c).Info("others are told the new addresses of this node", "addrs", w.r.told)
	supervisor.Publish(c, actors.AddressesChanged{Addresses: w.r.told})
}
