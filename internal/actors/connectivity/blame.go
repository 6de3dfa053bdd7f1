package connectivity

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// panicsDue makes connectivity log how many panics there were in the last minute.
type panicsDue struct{}

// panicked closes a connection whose messages have caused three panics in a minute,
// and makes sure that the number of panics is logged.
func (a *connectivity) panicked(c actor.Context, m base.PeerPanicked) {
	a.sumUpLater(c)
	if m.Conn != 0 && a.panics.Count(supervisor.Now(c), m.Conn) {
		c.Send(a.room.Conns, connections.CloseConn{Peer: m.Peer, Conn: m.Conn, Reason: actors.CloseReason{Code: actors.ClosePanics, By: "us", Err: errors.New(m.Path)}})
	}
}

// blamed closes the connection of a peer that the application has blamed three times
// within a minute.
func (a *connectivity) blamed(c actor.Context, m BlamePeer) {
	ref, ok := a.room.Connections.Get(m.Peer)
	if !ok {
		return
	}
	supervisor.Log(c).Debug("peer blamed by the application", "peer", m.Peer, "conn", ref.ID, "reason", m.Reason)
	if a.blames.Count(supervisor.Now(c), ref.ID) {
		c.Send(a.room.Conns, connections.CloseConn{Peer: m.Peer, Conn: ref.ID, Reason: actors.CloseReason{Code: actors.CloseBlamed, By: "us", Err: errors.New(m.Reason)}})
	}
}

func (a *connectivity) sumUpLater(c actor.Context) {
	if a.panicsDue == nil {
		a.panicsDue = supervisor.After(c, base.PanicEvery, panicsDue{})
	}
}
