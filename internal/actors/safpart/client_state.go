package safpart

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
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

// keepAsked keeps the servers connected that are being asked.
func (a *client) keepAsked() {
	if asked := a.f.client.machine.Asked(); !slices.Equal(asked, a.kept) {
		a.f.trunk.KeepOpen(keepTag, asked)
		a.kept = asked
	}
}

// setSilent publishes that a peer is not asked until then, because it leaves requests
// unanswered, or with the zero time that it has answered. Of more than saf.MaxKnown peers
// the ones whose time ends first are left out.
func (f *Saf) setSilent(now time.Time, peer identity.NodeID, till time.Time) {
	all := make(map[identity.NodeID]time.Time)
	if old := f.silent.Load(); old != nil {
		maps.Copy(all, *old)
	}
	maps.DeleteFunc(all, func(_ identity.NodeID, till time.Time) bool { return !till.After(now) })
	if delete(all, peer); till.After(now) {
		all[peer] = till
	}
	if len(all) > saf.MaxKnown {
		first := peer
		for id, till := range all {
			if till.Before(all[first]) {
				first = id
			}
		}
		delete(all, first)
	}
	f.silent.Store(&all)
}
