package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Settings are the limits of the remote calls of a node.
type Settings struct {
	Sessions        int           // of peers with our services, all together
	SessionsPerPeer int           // … of one peer
	Clients         int           // our sessions with one service of one peer that carries one call a session
	Calls           int           // of peers that run at once in sessions that carry many, all together
	CallsPerPeer    int           // … of one peer
	Idle            time.Duration // idle time after which our services end a session
	// CloseWhenIdle are the protocols of peers' services that this node calls rarely: a session
	// with one ends as soon as no call needs it.
	CloseWhenIdle []protocol.ID
}

// Calls is the state of the remote calls of one node, in both directions. It outlives the
// actors, which share it.
type Calls struct {
	Settings
	// Server is the actor rpc, which offers this node's services. Client is the actor
	// rpc-client, which has our sessions with services of peers.
	Server, Client *actor.PID

	trunk    Trunk
	services []*registered // the server reads and writes it
	offered  view.Map[protocol.ID, *registered]
	sessions view.Map[Key, []*Session] // ours; written by the client, callers take the idle ones
	monitor  callMonitor
	shared   [2]*credit.Budget // for what the calls of a session share: of ours, and of peers
	windows  *credit.Budget    // for items of streams that may wait, of all peers
	once     sync.Once
	limit    callLimit
	made     callCounts
	served   callCounts
}

// New returns the Calls of a node.
func New(t Trunk, s Settings) *Calls {
	return &Calls{Settings: s, limit: callLimit{most: s.Calls, perPeer: s.CallsPerPeer, of: make(map[holder]*callers)}, Server: t.PID(serverPath), Client: t.PID("services/rpc-client"), trunk: t}
}

const serverPath = "services/rpc"

// Part returns the part of the node that makes and serves calls.
func (k *Calls) Part() actors.Part {
	sessions := supervisor.Policy{Action: supervisor.Temporary}
	return actors.Part{
		Name: "rpc",
		Services: []supervisor.Spec{
			{Name: "rpc", Kind: "rpc", New: func() actor.Actor { return newServer(k) }, Children: sessions, Drains: true},
			{Name: "rpc-client", Kind: "rpc-client", New: func() actor.Actor { return newClient(k) }, Children: sessions},
		},
		Stages:   map[string]actors.Stage{serverPath: actors.StopMessages},
		Ready:    k.ready,
		Sections: map[string]func(context.Context) any{"calls": func(context.Context) any { return k.section().Calls }},
		Metrics:  func(context.Context) any { return k.section() },
	}
}

// ready waits until all services are in the protocol table. It returns an error if one
// is not offered.
func (k *Calls) ready(ctx context.Context) error {
	r, err := supervisor.Ask[ServicesReady](ctx, k.trunk.System(), k.Server, AwaitServices{})
	return errors.Join(err, r.Err)
}

// Preregister adds a service of the user's before the tree starts.
func (k *Calls) Preregister(s rpc.Service) error {
	if k.trunk.Reserved(s.Protocol) {
		return fmt.Errorf("%w: %q", actors.ErrProtocolTaken, string(s.Protocol))
	}
	return k.preregister(s, nil)
}

// Provide adds a service of the node's own before the tree starts. Its id may be one with a
// fixed meaning between nodes. Users cannot remove it.
func (k *Calls) Provide(s rpc.Service, limits Own) error { return k.preregister(s, &limits) }

func (k *Calls) preregister(s rpc.Service, own *Own) error {
	service, err := newRegistered(s)
	if err != nil {
		return err
	}
	if k.service(s.Protocol) != nil {
		return fmt.Errorf("%w: %q", actors.ErrProtocolTaken, string(s.Protocol))
	}
	service.own = own
	k.services = append(k.services, service)
	k.offered.Set(service.Protocol, service)
	return nil
}

// service returns the service of a protocol, or nil.
func (k *Calls) service(id protocol.ID) *registered {
	for _, s := range k.services {
		if s.Protocol == id {
			return s
		}
	}
	return nil
}

// Busy returns why a caller waits for a session, with the limit and its setting; "" if it is not for want of one.
func (k *Calls) Busy(key Key) string {
	list, _ := k.sessions.Get(key)
	if len(list) == 0 {
		return ""
	}
	if list[0].many.Load() != nil {
		return full("calls with the service", manycalls.MaxCalls, "of one session")
	}
	return full("calls with the service", len(list), "[rpc] client_sessions")
}

// IdleSession takes an idle session with a service of a peer, if there is one.
func (k *Calls) IdleSession(key Key) (*Session, bool) {
	list, _ := k.sessions.Get(key)
	for _, s := range list {
		// Waiting callers come first: the client serves them when a session is released.
		if s.pool.waiting.Load() == 0 && s.acquire() {
			return s, true
		}
	}
	return nil, false
}
