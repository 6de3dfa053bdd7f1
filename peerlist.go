package gamelan

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// peerList is the section "peers": the peer records of one moment, ordered by id. They are
// collected when the list is needed, and a record is converted only when it is read.
type peerList struct {
	node    *Node
	now     time.Time
	view    peerstore.View
	records func() []peerstore.Peer
	ended   map[identity.NodeID]actors.ClosedConn
	pools   pools
}

func peersSection(n *Node, now time.Time) models.PeerList {
	view := n.Peers().view()
	records := sync.OnceValue(func() []peerstore.Peer { return slices.AppendSeq(make([]peerstore.Peer, 0, view.Len()), view.All()) })
	return peerList{n, now, view, records, lastEnded(n), n.pools()}
}

// lastEnded returns for each peer the last of its remembered connections that ended. A
// connection that lost a tie-break does not count, because the peer stayed connected.
func lastEnded(n *Node) map[identity.NodeID]actors.ClosedConn {
	ended := make(map[identity.NodeID]actors.ClosedConn)
	for _, c := range n.trunk.Closed() {
		if c.Reason.Code != actors.CloseTieBreak && !c.At.Before(ended[c.Ref.Peer].At) {
			ended[c.Ref.Peer] = c
		}
	}
	return ended
}

// precursor returns the last of the connections to a peer that have ended which began before
// the present one. One that has lost a tie-break to it does not count.
func precursor(closed []actors.ClosedConn, ref *Connection) (last actors.ClosedConn, ok bool) {
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
	v := peerOf(l.node, p, l.ended[p.ID], l.now)
	v.Pool = l.pools.of(p)
	return v
}

func (l peerList) MarshalJSON() ([]byte, error) { return json.Marshal(l.Slice(0, l.Len())) }

// pools are the peers that the node wants to be connected to, with the reason.
type pools struct {
	node *Node
	sets map[identity.NodeID]string
}

func (n *Node) pools() pools {
	p := pools{n, map[identity.NodeID]string{}}
	if n.discovery == nil {
		return p
	}
	sets := n.discovery.State().Neighbours
	for _, m := range sets.Random {
		p.sets[m.Peer] = "random"
	}
	for _, m := range sets.Neighbours {
		p.sets[m.Peer] = "neighbour"
	}
	return p
}

func (p pools) of(peer peerstore.Peer) string {
	switch set := p.sets[peer.ID]; {
	case set != "":
		return set
	case len(p.node.protectors(peer.ID)) > 0:
		return "protected"
	case peer.Flags&peerstore.FlagSeed != 0:
		return "seed"
	}
	return "none"
}
