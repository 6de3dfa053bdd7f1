package discoverypart

import (
	"errors"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/dht/neighbours"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// keepTag is the name under which the sets keep connections, and under which their dials
// are listed.
const keepTag = "neighbours"

// neighboursActor keeps the node connected to the nodes closest to it and to some at random
// (spec: dht 10.2). It decides nothing: a [neighbours.Machine] does.
//
// In: PeerDialed, events PeerConnected, PeerDisconnected, DialFailed, StatusChanged,
// PeersGiven and PeersLearned. Out: dials of the trunk, event NeighboursChanged. A restart loses which
// peers rest after failed dials; the sets come from the connections, the nodes that were drawn
// and the store again.
// Of a node that does nothing of its own accord the sets stay empty.
type neighboursActor struct {
	d       *Discovery
	machine *neighbours.Machine
	dials   map[uint64]identity.NodeID // under way, by token
	timer   *supervisor.Timer
	offline bool
}

type neighboursDue struct{}

func newNeighbours(d *Discovery) actor.Actor {
	return &neighboursActor{d: d, dials: make(map[uint64]identity.NodeID)}
}

func (a *neighboursActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case actors.PeerConnected:
		if m.Conn.Features.IsNode() {
			a.step(c, neighbours.Connected{Peer: m.Peer, Outbound: m.Conn.Direction == protocol.Outbound})
		}
	case actors.PeerDisconnected:
		a.step(c, neighbours.Disconnected{Peer: m.Peer, Why: endOf(m.Reason)})
	case dialling.PeerDialed:
		a.dialled(c, m)
	case actors.DialFailed:
		a.step(c, neighbours.Failed{Peer: m.Peer})
	case actors.StatusChanged:
		a.statusChanged(c, m.Status.State)
	case dht.PeersLearned, actors.PeersGiven:
		a.step(c, neighbours.Learned{})
	case neighboursDue:
		a.timer = nil
		a.step(c, neighbours.Due{})
	default:
		supervisor.Unhandled(c)
	}
}

func (a *neighboursActor) start(c actor.Context) {
	d := a.d
	self := d.trunk.Secret().PublicKey().NodeID()
	a.machine = neighbours.New(self, setsView{d, self}, neighbours.Options{
		Neighbours: d.Settings.Neighbours, Random: d.Random, Minimise: d.Minimise,
		Update: d.Update, Refresh: d.Refresh, Rand: supervisor.Rand(c).Rand,
	})
	a.show()
	if !d.Automatic {
		return
	}
	supervisor.OwnFunc(c, a.abandon)
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[actors.PeerDisconnected](c)
	supervisor.Subscribe[actors.DialFailed](c)
	supervisor.Subscribe[actors.StatusChanged](c)
	supervisor.Subscribe[dht.PeersLearned](c)
	supervisor.Subscribe[actors.PeersGiven](c)
	drawn := d.drawn
	for _, ref := range a.connections() {
		a.step(c, neighbours.Connected{Peer: ref.Peer, Outbound: ref.Direction == protocol.Outbound})
	}
	a.step(c, neighbours.Start{Drawn: drawn})
}

// connections returns the connections to nodes that exist already, in the order of the ids.
func (a *neighboursActor) connections() (list []*actors.ConnRef) {
	for _, ref := range a.d.trunk.Connections().All() {
		if ref.Features.IsNode() {
			list = append(list, ref)
		}
	}
	slices.SortFunc(list, func(x, y *actors.ConnRef) int { return x.Peer.Compare(y.Peer) })
	return list
}

// abandon takes back the dials under way. The next incarnation may begin others.
func (a *neighboursActor) abandon() {
	for token, peer := range a.dials {
		a.d.trunk.CancelDial(token, peer, a.d.Neighbours)
	}
	a.d.trunk.SetPlannedDials(0)
}

func (a *neighboursActor) dialled(c actor.Context, m dialling.PeerDialed) {
	if _, ok := a.dials[m.Token]; !ok {
		return // it was cancelled
	}
	delete(a.dials, m.Token)
	if errors.Is(m.Err, actors.ErrClosing) {
		return
	}
	a.step(c, neighbours.Dialled{Peer: m.Peer, Err: m.Err})
}

func (a *neighboursActor) statusChanged(c actor.Context, state string) {
	switch offline := state == connpool.Offline.String(); {
	case offline && !a.offline:
		a.offline = true
		a.step(c, neighbours.Offline{})
	case !offline && state == connpool.Online.String():
		a.offline = false
		a.step(c, neighbours.Online{})
	}
}

// endOf returns what the end of a connection means for the next dial.
func endOf(why actors.CloseReason) neighbours.End {
	switch {
	case why.By == "peer":
		return neighbours.Left
	case why.Code == actors.CloseNoAnswer, why.Code == actors.CloseStalled, why.Code == actors.CloseCrashed, why.Code == actors.CloseTieBreak:
		return neighbours.Lost
	case why.Code == actors.CloseReaped, why.Code == actors.CloseMinimised, why.Code == actors.CloseReplaced:
		return neighbours.Unneeded
	case why.By == "us":
		return neighbours.Closed
	}
	return neighbours.Lost
}

func (a *neighboursActor) step(c actor.Context, e neighbours.Event) {
	t := a.d.trunk
	for _, f := range a.machine.Step(supervisor.Now(c), e) {
		switch f := f.(type) {
		case neighbours.Dial:
			token := t.NewID()
			a.dials[token] = f.Peer
			t.DialAutomatically(token, f.Peer, c.Self(), fmt.Sprintf("%s (%s)", keepTag, f.For))
		case neighbours.Cancel:
			for token, peer := range a.dials {
				if peer == f.Peer {
					delete(a.dials, token)
					t.CancelDial(token, peer, c.Self())
				}
			}
		case neighbours.Close:
			if ref, ok := t.Connection(f.Peer); ok {
				t.HangUp(f.Peer, ref.ID)
			}
		case neighbours.Keep:
			a.d.drawn = a.machine.Drawn()
			t.KeepOpen(keepTag, slices.Concat(f.Neighbours, f.Random))
			supervisor.Publish(c, dht.NeighboursChanged{
				Neighbours: f.Neighbours, Random: f.Random, Connected: len(f.Neighbours) + len(f.Random),
			})
		case neighbours.Wake:
			if a.timer != nil {
				a.timer.Stop()
			}
			a.timer = supervisor.At(c, f.At, neighboursDue{})
		}
	}
	a.show()
}

// show makes the state visible, and tells the trunk how many dials are under way.
func (a *neighboursActor) show() {
	s := a.machine.State()
	a.d.trunk.SetPlannedDials(len(s.Dials) + s.Returning)
	a.d.states.sets.Store(&SetsState{
		Neighbours: membersOf(s.Neighbours), Random: membersOf(s.Random),
		Target: s.Places.Neighbours, RandomSize: s.Places.Random, Dialling: len(s.Dials),
	})
}

func membersOf(list []neighbours.Member) []Member {
	members := make([]Member, len(list))
	for i, x := range list {
		members[i] = Member{Peer: x.Peer, Connected: true}
	}
	return members
}

// Inspect returns the sets and what the machine knows besides.
func (a *neighboursActor) Inspect() any { return a.machine.State() }

func (a *neighboursActor) String() string {
	s := a.machine.State()
	return fmt.Sprintf("%d of %d neighbours, %d of %d random, %d dials", len(s.Neighbours), s.Places.Neighbours, len(s.Random), s.Places.Random, len(s.Dials))
}
