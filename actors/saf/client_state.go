package saf

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ClientState is the state of the requests for messages that others store for this node.
type ClientState struct {
	saf.ClientStats
	Automatic bool // it asks each peer that may store messages when it connects
	SinceLast bool
	Servers   []saf.ServerState
	Fetches   int // under way
	Err       error
}

func (a *client) state(c actor.Context) ClientState {
	m := a.f.client.machine
	return ClientState{
		ClientStats: m.Stats(), Automatic: !a.f.NoRequests, SinceLast: a.f.SinceLast,
		Servers: m.Servers(supervisor.Now(c)), Fetches: m.Fetches(), Err: a.err,
	}
}

// keepTag is the name under which the servers that are being asked are kept connected.
const keepTag = "stored messages"

// show publishes which peers leave requests unanswered, and keeps those connected that are
// being asked.
func (a *client) show(c actor.Context) {
	now := supervisor.Now(c)
	silent := make(map[identity.NodeID]struct{})
	var asked []identity.NodeID
	for _, s := range a.f.client.machine.Servers(now) {
		if s.SilentTill.After(now) {
			silent[s.Peer] = struct{}{}
		}
		if s.Running != nil && s.Connected {
			asked = append(asked, s.Peer)
		}
	}
	if !slices.Equal(asked, a.kept) {
		a.f.trunk.Keep(keepTag, asked)
		a.kept = asked
	}
	old := a.f.silent.Load()
	if len(silent) == 0 && old == nil {
		return
	}
	a.f.silent.Store(&silent)
}
