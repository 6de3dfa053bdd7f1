package torpart

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/torconn"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Settings are the onion service and how Tor is reached.
type Settings struct {
	// Connect opens a control connection.
	Connect func(ctx context.Context) (*torconn.Conn, error)
	// Host is the address of the control port, or not valid if that is on this machine.
	Host netip.Addr
	Auth tor.Auth
	// Account is the account that runs Tor; see [torconn.ReadCookie].
	Account string
	// NewCircuits permits the signal NEWNYM; see [tor.Options].
	NewCircuits bool
	// Service is the onion service, and Onion the address by which peers reach it.
	Service tor.Service
	Onion   ma.Multiaddr
	// Grace is how long Onion waits for its service to be published before it is advertised
	// all the same.
	Grace time.Duration
	// Proxy is told the address of Tor's SOCKS listener, each time that this node has
	// connected, and nil when the connection has ended. It is nil when the address is set by
	// the user.
	Proxy func(ma.Multiaddr) error
}

// Tor is the use that one node makes of Tor. Its actor shares it, and it outlives the
// actor's incarnations.
type Tor struct {
	Settings
	// Controller is the actor of the part.
	Controller *actor.PID

	trunk        Trunk
	announcement tor.Announcement // of the actor, which alone uses it
	advertised   bool             // of the actor
	state        atomic.Pointer[tor.State]
}

const path = "tor/controller"

// retry is how long an actor rests that has failed too often.
const retry = 30 * time.Second

// New returns the part. It must be called before the node's actors start.
func New(t Trunk, s Settings) *Tor {
	if s.Grace == 0 {
		s.Grace = tor.DefaultGrace
	}
	w := &Tor{Settings: s, Controller: t.PID(path), trunk: t, announcement: tor.Announcement{Grace: s.Grace}}
	w.state.Store(&tor.State{
		Status: tor.Status{Phase: tor.Away}, Onion: s.Onion,
		Service: tor.ServiceStatus{ID: s.Service.Key.ID(), State: tor.Unpublished, Since: t.Now()},
	})
	return w
}

// Part returns the actor. It takes the service away in the first stage of a stop, so that
// nobody new comes.
func (w *Tor) Part() actors.Part {
	return actors.Part{
		Name: "tor",
		Actors: []supervisor.Spec{{
			Name: "controller", Kind: "torController", New: func() actor.Actor { return &controller{w: w} }, Drains: true,
		}},
		Policy: supervisor.Policy{Action: supervisor.Isolate, Retry: retry},
		Stages: map[string]actors.Stage{path: actors.StopIntake},
		Ready:  w.ready,

		Sections: sections(w.section), Node: w.node, Degraded: w.degraded,
	}
}

// ready waits until Tor has taken the service. The error is a *[tor.StartError] if Tor cannot be
// used.
func (w *Tor) ready(ctx context.Context) error {
	r, err := supervisor.Ask[Started](ctx, w.trunk.System(), w.Controller, AwaitStarted{})
	if err != nil {
		return err
	}
	return r.Err
}

// State returns the present state. It may be called from any goroutine.
func (w *Tor) State() tor.State { return *w.state.Load() }

// Stuck says that dials of an onion service keep failing. It may be called from any
// goroutine.
func (w *Tor) Stuck() { w.trunk.System().Root.Send(w.Controller, stuck{}) }
