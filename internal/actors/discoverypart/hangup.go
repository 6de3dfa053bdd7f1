package discoverypart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// idleStreams is how many substreams a connection may have that is not in use: one in each
// direction for messages.
//
// spec: comms 11.4.
const idleStreams = 2

// use is when a connection was last of use.
type use struct {
	conn uint64
	last time.Time // zero: never
}

// hangUp ends connections that this node has made of its own accord, to read lists, for its
// sets or for its floor, and that it does not need any longer.
//
// spec: V27.
func (a *netsyncActor) hangUp(c actor.Context) {
	now := supervisor.Now(c)
	var links []netsync.Link
	for id, ref := range a.d.trunk.Connections().All() {
		if !ref.Features.IsNode() {
			continue
		}
		l := netsync.Link{Peer: id, Outbound: ref.Direction == protocol.Outbound, Since: ref.Since}
		if l.Outbound && !ref.Asked() {
			p, _ := a.d.trunk.Store().Get(id)
			l.Own, l.Seed, l.Asking, l.Used = true, p.Flags&peerstore.FlagSeed != 0, a.asking[id] > 0, a.used(now, ref)
			l.Needed = len(a.d.trunk.KeepOpenTags(id)) > 0 || a.d.trunk.Protected(id) || a.d.trunk.Allowed(id) || ref.Calling() || ref.NumStreams() > idleStreams
		}
		links = append(links, l)
	}
	phase, _ := a.bootstrap.Phase()
	busy := phase == netsync.Bootstrapping || a.recovery.Running()
	wanted := a.d.Settings.Neighbours + a.d.Settings.Random
	least := netsync.Least{Floor: a.d.Settings.Floor, Wanted: wanted, Outbound: (min(wanted, len(links)) + 1) / 2}
	for _, id := range netsync.HangUp(now, links, least, busy) {
		supervisor.Log(c).Debug("a connection that this node made by itself is no longer needed", "peer", id)
		a.d.trunk.HangUp(id, a.uses[id].conn)
	}
	for id, x := range a.uses {
		if ref, ok := a.d.trunk.Connection(id); !ok || ref.ID != x.conn {
			delete(a.uses, id)
		}
	}
}

// used returns when a connection was last of use, as of the last ticks.
func (a *netsyncActor) used(now time.Time, ref *actors.ConnRef) time.Time {
	x := a.uses[ref.Peer]
	if x == nil || x.conn != ref.ID {
		x = &use{conn: ref.ID}
		a.uses[ref.Peer] = x
	}
	if ref.Link().Live.TakeUse() {
		x.last = now
	}
	return x.last
}
