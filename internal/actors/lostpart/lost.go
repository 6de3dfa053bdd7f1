// Package lostpart is the part of a node that notices when a peer is cut off while others are connected.
package lostpart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/lost"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	Now() time.Time
	OnWall(t time.Time) time.Time
	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	Protected(peer identity.NodeID) bool
	Banned(peer identity.NodeID) error
}

var _ Trunk = trunk.Trunk{}

// Settings say which peers matter.
type Settings struct {
	After time.Duration // how long a peer may be away
	// Seed reports whether the settings name the peer as a seed.
	Seed func(peer identity.NodeID) bool
}

// Lost is the part. It outlives the incarnations of its actor.
type Lost struct {
	Settings
	trunk Trunk
	peers *lost.Peers                 // of the actor
	all   atomic.Pointer[[]lost.Peer] // written by the actor
}

// New returns the part.
func New(t Trunk, s Settings) *Lost { return &Lost{Settings: s, trunk: t, peers: lost.New()} }

const name = "lost"

// Part returns the actor.
func (l *Lost) Part() actors.Part {
	return actors.Part{
		Name:         name,
		Actors:       []supervisor.Spec{{Name: "peers", Kind: "lostpeers", New: func() actor.Actor { return &watch{l} }}},
		PeerWarnings: l.warnings,
	}
}

// warnings returns a notice of each peer that is cut off while others are connected.
func (l *Lost) warnings() models.Notices {
	all := l.all.Load()
	if all == nil || l.trunk.Connections().Len() == 0 { // then the node is cut off, and not the peer
		return nil
	}
	now := l.trunk.Now()
	list := slices.DeleteFunc(slices.Clone(*all), func(p lost.Peer) bool {
		_, connected := l.trunk.Connections().Get(p.ID)
		return connected || now.Sub(p.Since) < l.After || now.Sub(p.Last) > lost.Fresh || p.Named && !l.names(p.ID) || l.trunk.Banned(p.ID) != nil
	})
	return trunk.NoticeEach(list, func(p lost.Peer) models.Notice { return l.notice(&p, now) }, codes.PeerLost, "peers are not reached")
}

func (l *Lost) notice(p *lost.Peer, now time.Time) models.Notice {
	kind := "which was connected for long"
	switch {
	case l.trunk.Protected(p.ID):
		kind = "which is protected"
	case p.Named:
		kind = "a seed"
	}
	where := p.Addr
	if where == "" {
		where = "it"
	}
	cause, why, _ := trunk.Because(p.Err, where)
	others := "1 other is"
	if n := l.trunk.Connections().Len(); n != 1 {
		others = inspect.Number(uint64(n)) + " others are"
	}
	return codes.PeerLost.Notice(fmt.Sprintf("peer %s, %s, is not reached for %s, while %s: %s, tried %s", p.ID, kind, words.Long(now.Sub(p.Since)), others,
		why, inspect.Count(uint64(p.Dials), "time")), p.ID.String(), l.trunk.OnWall(p.Since).UTC().Format(time.RFC3339), cause.Name)
}

// names reports whether the user has named or protects a peer. A seed counts once it was connected: of seeds that were never, one
// that answers is enough.
func (l *Lost) names(peer identity.NodeID) bool { return l.trunk.Protected(peer) || l.Seed(peer) }

// watch hears of connections and dials. A restart loses nothing but what happens meanwhile.
//
// In: PeerConnected, PeerDisconnected, DialFailed. Out: nothing.
type watch struct{ l *Lost }

// Receive implements [actor.Actor].
func (a *watch) Receive(c actor.Context) {
	l, now := a.l, supervisor.Now(c)
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.Subscribe[actors.DialFailed](c)
		for peer := range l.trunk.Connections().All() {
			l.peers.Connected(peer)
		}
	case actors.PeerConnected:
		l.peers.Connected(m.Peer)
	case actors.PeerDisconnected:
		if m.Reason.By == "us" && m.Reason.Code == actors.CloseRequested { // the user has closed it
			l.peers.Connected(m.Peer)
			break
		}
		l.peers.Disconnected(now, m.Peer, l.names(m.Peer), now.Sub(m.Conn.Since))
	case actors.DialFailed:
		a.failed(now, m)
	default:
		supervisor.Unhandled(c)
		return
	}
	all := l.peers.All()
	l.all.Store(&all)
}

// failed notes a dial that has failed. One that this node has cancelled says nothing.
func (a *watch) failed(now time.Time, m actors.DialFailed) {
	if errors.Is(m.Err, context.Canceled) || errors.Is(m.Err, actors.ErrDialCancelled) || errors.Is(m.Err, actors.ErrClosing) {
		return
	}
	addr, why := "", m.Err
	if n := len(m.Attempts); n > 0 {
		addr, why = address.Short(m.Attempts[n-1].Addr), m.Attempts[n-1].Err
	}
	a.l.peers.Failed(now, m.Peer, a.l.trunk.Protected(m.Peer), addr, why)
}
