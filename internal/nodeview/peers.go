package nodeview

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// peerList is the section "peers": the peer records of one moment, ordered by id. They are
// collected when the list is needed, and a record is converted only when it is read.
type peerList struct {
	trunk   trunk.Node
	now     time.Time
	view    peerstore.View
	records func() []peerstore.Peer
	ended   map[identity.NodeID]actors.ClosedConn
	pools   map[identity.NodeID]string
}

// Peer returns the record of a peer as the section "peers" has it.
func (v *View) Peer(p peerstore.Peer) models.Peer { return v.peers().peer(p) }

// peers returns the section "peers".
func (v *View) peers() peerList {
	view := v.Trunk.Store()
	records := sync.OnceValue(func() []peerstore.Peer { return slices.AppendSeq(make([]peerstore.Peer, 0, view.Len()), view.All()) })
	return peerList{v.Trunk, v.Trunk.Wall(), view, records, LastEnded(v.Trunk), v.Pools()}
}

// LastEnded returns for each peer the last of its remembered connections that ended. A
// connection that lost a tie-break does not count, because the peer stayed connected.
func LastEnded(t trunk.Node) map[identity.NodeID]actors.ClosedConn {
	ended := make(map[identity.NodeID]actors.ClosedConn)
	for _, c := range t.Closed() {
		if c.Reason.Code != actors.CloseTieBreak && !c.At.Before(ended[c.Ref.Peer].At) {
			ended[c.Ref.Peer] = c
		}
	}
	return ended
}

// Precursor returns the last of the connections to a peer that have ended which began before
// the present one. One that has lost a tie-break to it does not count.
func Precursor(closed []actors.ClosedConn, ref *actors.ConnRef) (last actors.ClosedConn, ok bool) {
	for _, c := range closed {
		crossed := c.Reason.Code == actors.CloseTieBreak && c.Ref.Direction != ref.Direction && ref.Since.Sub(c.Ref.Since) < connpool.Crossing
		if c.Ref.Peer == ref.Peer && c.Ref.Since.Before(ref.Since) && !crossed && !c.At.Before(last.At) {
			last, ok = c, true
		}
	}
	return last, ok
}

func (l peerList) Len() int { return len(l.records()) }

func (l peerList) Slice(from, to int) []models.Peer {
	all := make([]models.Peer, 0, to-from)
	for _, p := range l.records()[from:to] {
		all = append(all, l.peer(p))
	}
	return all
}

func (l peerList) Find(id string) (models.Peer, bool) {
	node, err := identity.ParsePeer(id)
	if err == nil {
		p, ok := l.view.Get(node)
		if !ok {
			return models.Peer{}, false
		}
		return l.peer(p), true
	}
	i, ids := inspect.FindPeer(id, peerstore.Texts(slices.Values(l.records())))
	if len(ids) != 1 {
		return models.Peer{}, false
	}
	return l.peer(l.records()[i]), true
}

func (l peerList) peer(p peerstore.Peer) models.Peer {
	v := models.Peer{
		NodeID: p.ID.String(), Features: p.Features.String(), UserAgent: p.UserAgent,
		Protocols: []string{}, Addresses: []models.Address{},
		BanReason: p.BanReason, OfflineSince: p.OfflineSince(), AddedAt: p.AddedAt, Pool: l.pool(p),
	}
	if p.Banned(l.now) {
		v.BannedUntil = p.BannedUntil
	}
	if !p.Key.IsZero() {
		v.PublicKey = p.Key.String()
	}
	if ended := l.ended[p.ID]; !ended.At.IsZero() {
		v.EndedAt, v.EndedWhy = l.trunk.OnWall(ended.At), ended.Reason.String()
	}
	protocols := p.Protocols
	if ref, ok := l.trunk.Connection(p.ID); ok {
		v.Connection = new(connectionID(ref))
		v.UserAgent, protocols = ref.UserAgent, ref.Listed()
	} else if due, ok := l.trunk.Redials().Get(p.ID); ok {
		v.NextDialAt = l.trunk.OnWall(due)
	}
	for _, id := range protocols {
		v.Protocols = append(v.Protocols, string(id))
	}
	attempts, _ := l.trunk.Dials().Get(p.ID)
	for _, a := range p.Addresses {
		score, _ := a.Score(l.now)
		v.Addresses = append(v.Addresses, models.Address{
			Addr: a.Addr.String(), Source: a.Source.String(), LastOK: a.LastSeen, LastAttempt: a.LastAttempted,
			LastError: a.LastFailure, LastCode: lastCode(&a, attempts), Failures: a.Attempts, Attempts: a.Attempts,
			LatencyMS: milliseconds(a.Latency.Mean), Score: float64(score),
		})
	}
	return v
}

// lastCode returns the code of why an address was not reached when it was dialled last; empty: it was
// reached, or the node has forgotten.
func lastCode(a *peerstore.Address, attempts []actors.DialAttempt) string {
	if a.LastFailure == "" {
		return ""
	}
	for _, d := range slices.Backward(attempts) {
		if d.Err != nil && d.Addr.Equal(a.Addr) && !errors.Is(d.Err, context.Canceled) {
			c, _, _ := trunk.Because(d.Err, "")
			return c.Name
		}
	}
	return ""
}

// pool returns why the node wants to be connected to a peer.
func (l peerList) pool(p peerstore.Peer) string {
	switch pool := l.pools[p.ID]; {
	case pool != "":
		return pool
	case len(l.trunk.Protectors(p.ID)) > 0:
		return "protected"
	case p.Flags&peerstore.FlagSeed != 0:
		return "seed"
	}
	return "none"
}

func (l peerList) MarshalJSON() ([]byte, error) { return json.Marshal(l.Slice(0, l.Len())) }
