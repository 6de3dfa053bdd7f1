package gamelan

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// isolateRetry is the pause before an actor of the user's that failed for good
// is tried again.
const isolateRetry = 30 * time.Second

// tree is the whole node, in order of start. The word in Children is what
// happens to an actor's own children when one of them fails.
func tree(env *actors.Env, parts []actors.Part, bound []*actors.Bound) supervisor.Spec {
	restart := supervisor.Policy{Action: supervisor.Restart}
	leaf := func(name string, new func(*actors.Env) actor.Actor) supervisor.Spec {
		return supervisor.Spec{Name: name, Kind: name, New: func() actor.Actor { return new(env) }, Children: restart}
	}
	peers := leaf("peers", actors.NewPeers)
	peers.Drains = true

	conns := leaf("conns", actors.NewConns)
	conns.Children = supervisor.Policy{Action: supervisor.Temporary}
	conns.Drains = true

	extensions := leaf("extensions", actors.NewExtensions)
	extensions.Children = supervisor.Policy{Action: supervisor.Isolate, Retry: isolateRetry}
	extensions.Drains = true

	specs := []supervisor.Spec{
		peers,
		conns,
		leaf("dialer", actors.NewDialer),
		leaf("connectivity", actors.NewConnectivity),
		leaf("services", func(e *actors.Env) actor.Actor { return actors.NewServices(e, parts) }),
	}
	for _, p := range parts {
		if len(p.Actors) > 0 {
			specs = append(specs, group(p.Name, restart, p.Actors...))
		}
	}
	return group("node", restart, append(specs,
		extensions,
		leaf("liveness", actors.NewLiveness),
		group("listeners", restart, listeners(env, bound)...),
	)...)
}

// addParts makes the parts of the node.
func (b *builder) addParts(n *Node) {
	if b.DHT != nil {
		n.dht = dhtpart.New(b.env.Trunk(), b.dhtSettings())
		n.parts = append(n.parts, n.dht.Part())
	}
	n.calls = rpcpart.New(b.env.Trunk(), rpcpart.Settings{
		Sessions: b.RPC.MaxSessions, SessionsPerPeer: b.RPC.MaxPeerSessions,
		Clients: b.RPC.ClientSessions, Idle: b.RPC.Idle,
	})
	n.parts = append(n.parts, n.calls.Part())
}

func group(name string, p supervisor.Policy, specs ...supervisor.Spec) supervisor.Spec {
	return supervisor.Spec{Name: name, Kind: "group", New: supervisor.Group(specs...), Children: p}
}

func listeners(env *actors.Env, bound []*actors.Bound) []supervisor.Spec {
	specs := make([]supervisor.Spec, len(bound))
	for i, b := range bound {
		specs[i] = supervisor.Spec{
			Name: strconv.Itoa(i), Kind: "listener",
			New: func() actor.Actor { return actors.NewListener(env, i, b) },
		}
	}
	return specs
}
