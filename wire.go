package gamelan

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// isolateRetry is the pause before an actor of the user's that failed for good
// is tried again.
const isolateRetry = 30 * time.Second

// tree is the whole node, in order of start. The word in Children is what
// happens to an actor's own children when one of them fails.
func tree(env *actors.Env, bound []*actors.Bound) supervisor.Spec {
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
		leaf("services", actors.NewServices),
	}
	if env.DHT != nil {
		specs = append(specs, dhtGroup(env, restart))
	}
	return group("node", restart, append(specs,
		extensions,
		leaf("liveness", actors.NewLiveness),
		group("listeners", restart, listeners(env, bound)...),
	)...)
}

// dhtGroup is the DHT.
func dhtGroup(env *actors.Env, restart supervisor.Policy) supervisor.Spec {
	outbound := supervisor.Spec{
		Name: "outbound", Kind: "dhtOutbound", New: func() actor.Actor { return actors.NewOutbound(env) },
		Drains: true, Alarm: dhtAlarm,
	}
	pinger := supervisor.Spec{Name: "pinger", Kind: "pinger", New: func() actor.Actor { return actors.NewPinger(env) }}
	dedup := supervisor.Spec{Name: "dedup", Kind: "dedup", New: func() actor.Actor { return actors.NewDedup(env) }, Drains: true}
	return group("dht", restart, append([]supervisor.Spec{dedup, outbound, pinger}, actors.DHTInbound(env)...)...)
}

// dhtAlarm is the depth from which on the mailbox that all sends go through is
// reported.
const dhtAlarm = 64 << 10

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

// phases is the order in which a node stops: nothing new comes in, what was
// accepted is finished, first what is on its way to messaging, connections say
// goodbye, the store syncs.
func phases() []supervisor.Phase {
	return []supervisor.Phase{
		{Drain: []string{"listeners", "dialer"}, Stop: []string{"listeners", "dialer"}},
		{Drain: []string{"dht/outbound"}},
		{Drain: []string{"extensions", "services/messaging", "services/plain", "services/rpc"}, Stop: []string{"services", "extensions"}},
		{Drain: []string{"conns"}, Stop: []string{"conns"}},
		{Drain: []string{"peers", "dht/dedup"}, Stop: []string{"dht", "connectivity", "peers"}},
	}
}
