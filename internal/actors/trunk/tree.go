package trunk

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// isolateRetry is the pause before an actor of the user's that has used up its restarts
// is started again.
const isolateRetry = 30 * time.Second

// Tree returns the spec of the whole node with its parts, in the order of the start.
// Children says what happens to an actor's own children when one of them fails.
func (n Node) Tree(parts []actors.Part, bound []*connections.Bound) supervisor.Spec {
	restart := supervisor.Policy{Action: supervisor.Restart}
	r := n.rooms
	leaf := func(name string, new func() actor.Actor) supervisor.Spec {
		return supervisor.Spec{Name: name, Kind: name, New: new, Children: restart}
	}
	peers := leaf("peers", func() actor.Actor { return peerbook.NewPeers(r.peerbook) })
	peers.Drains = true

	conns := leaf("conns", func() actor.Actor { return connections.NewConns(r.connections) })
	conns.Children = supervisor.Policy{Action: supervisor.Temporary}
	conns.Drains = true

	extensions := leaf("extensions", func() actor.Actor { return users.NewExtensions(r.users) })
	extensions.Children = supervisor.Policy{Action: supervisor.Isolate, Retry: isolateRetry}
	extensions.Drains = true

	specs := []supervisor.Spec{
		peers,
		conns,
		leaf("dialer", func() actor.Actor { return dialling.NewDialer(r.dialling) }),
		leaf("connectivity", func() actor.Actor { return connectivity.NewConnectivity(r.connectivity) }),
		leaf("services", func() actor.Actor { return users.NewServices(r.users, parts) }),
	}
	for _, p := range parts {
		if grouped(&p) {
			specs = append(specs, group(p.Name, p.Policy, p.Actors...))
		}
	}
	return group("node", restart, append(specs,
		extensions,
		leaf("liveness", func() actor.Actor { return connections.NewLiveness(r.connections) }),
		group("listeners", restart, n.listeners(bound)...),
	)...)
}

func group(name string, p supervisor.Policy, specs ...supervisor.Spec) supervisor.Spec {
	return supervisor.Spec{Name: name, Kind: "group", New: supervisor.Group(specs...), Children: p}
}

func (n Node) listeners(bound []*connections.Bound) []supervisor.Spec {
	specs := make([]supervisor.Spec, len(bound))
	for i, b := range bound {
		specs[i] = supervisor.Spec{
			Name: strconv.Itoa(i), Kind: "listener",
			New: func() actor.Actor { return connections.NewListener(n.rooms.connections, i, b) },
		}
	}
	return specs
}

// NewPeers makes the actor that writes the peer store.
func (n Node) NewPeers() actor.Actor { return peerbook.NewPeers(n.rooms.peerbook) }

// NewConn makes the actor of one live connection. The actor takes over the session.
func (n Node) NewConn(ref *actors.ConnRef, session *supervisor.Handover[*mux.Session]) actor.Actor {
	return connections.NewConn(n.rooms.connections, ref, session, nil)
}
