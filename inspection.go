package gamelan

import (
	"context"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// Inspection shows what goes on in a node, to tools and to its operator. Its
// Options are what [inspect.Handler] needs: the node's actors, its health, and the
// sections node, peers, connections, dht and ledger, to which sections of your own
// can be added:
//
//	i := node.Inspection()
//	i.Sections.Section("cache", func(context.Context) any { return cache.Stats() })
//	http.Handle("/", inspect.Handler(i.Options))
//
// To look at the node with the command gamelan, [WithInspector] is enough.
type Inspection struct {
	inspect.Options
	n *Node
}

// Inspection returns what goes on in the node. Each call makes a new one.
func (n *Node) Inspection() *Inspection { return &Inspection{n.options(), n} }

// Tree returns the node's actors while they start and work. Attach nothing to its
// topmost actor: a child of it that uses up its restarts stops the node. Actors of
// yours belong to [Node.Spawn].
func (i *Inspection) Tree() *supervisor.Root { return i.n.tree() }

// Node returns the section of that name: the node's identity and state.
func (i *Inspection) Node(ctx context.Context) models.Node { return nodeSection(ctx, i.n) }

// Report returns a report of this node in the form of the API of package inspect.
func (i *Inspection) Report(r dht.Report) models.Report { return i.n.report(r) }

// OnWall translates a time that the node has measured, such as [Connection].Since,
// into one of the system's clock as it is set now.
func (i *Inspection) OnWall(t time.Time) time.Time { return i.n.trunk.OnWall(t) }

// PeerHistory is what a node remembers of its dealings with a peer. Its times are
// of the system's clock.
type PeerHistory struct {
	Protected []string             // the tags by which the peer is protected
	NextDial  time.Time            // when the node dials it of its own accord, if it will
	Attempts  []actors.DialAttempt // the last dials of its addresses, the oldest first: at most 32, of the 512 peers dialled last
	NotTaken  []actors.NotTaken    // the protocols on which it takes no messages of ours
	Ended     *actors.ClosedConn   // the last connection that has ended; nil: none is remembered
	Choice    *connpool.Choice     // the last choice among candidates to dial that looked at it; nil: none of the last 16 did
}

// Peer returns what the node remembers of its dealings with a peer.
func (i *Inspection) Peer(peer identity.NodeID) PeerHistory {
	trunk := i.n.trunk
	h := PeerHistory{Protected: i.n.protectors(peer)}
	if due, ok := trunk.Redials().Get(peer); ok {
		h.NextDial = trunk.OnWall(due)
	}
	attempts, _ := trunk.Dials().Get(peer)
	for _, a := range attempts {
		a.At = trunk.OnWall(a.At)
		h.Attempts = append(h.Attempts, a)
	}
	for _, m := range trunk.NotTaken() {
		if m.Peer == peer {
			m.Last = trunk.OnWall(m.Last)
			h.NotTaken = append(h.NotTaken, m)
		}
	}
	if last, ok := lastEnded(i.n)[peer]; ok {
		last.At = trunk.OnWall(last.At)
		h.Ended = &last
	}
	for _, c := range slices.Backward(trunk.Choices()) {
		if _, _, ok := c.Rank(peer); ok {
			c.At = trunk.OnWall(c.At)
			h.Choice = &c
			break
		}
	}
	return h
}

// tree returns the tree once it has been made.
func (n *Node) tree() *supervisor.Root {
	<-n.up
	return n.root
}

// protectors returns the tags by which a peer is protected.
func (n *Node) protectors(peer identity.NodeID) []string {
	tags, _ := n.trunk.Protected().Get(peer)
	return slices.Clone(tags)
}

// report is a report of this node with the times of the system's clock.
func (n *Node) report(r dht.Report) models.Report {
	r.Begin, r.End, r.Copies = n.trunk.OnWall(r.Begin), n.trunk.OnWall(r.End), slices.Clone(r.Copies)
	for i := range r.Copies {
		r.Copies[i].At = n.trunk.OnWall(r.Copies[i].At)
	}
	return describeReport(r)
}
