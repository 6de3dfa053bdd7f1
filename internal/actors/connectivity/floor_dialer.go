package connectivity

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// floorDialer is the part of connectivity that dials known nodes automatically while
// fewer nodes than the floor are connected (V30). It dials in rounds. A round chooses
// peers and dials them side by side, within the dialer's limits. The next round begins
// when all these dials have ended. When the floor is reached, the remaining dials of
// the round are cancelled. Nodes to which a part is about to connect count as connected
// when a round begins.
type floorDialer struct {
	room    *Room
	dials   map[uint64]identity.NodeID // of this round, by token
	barren  int                        // rounds since the last new connection
	timer   *supervisor.Timer
	nobody  bool // the last choice chose nobody
	refused int  // known nodes that were not connected when the last choice was made
}

const (
	fillFirst = time.Second // pause before a round; doubled for each barren round
	fillMax   = time.Minute
	// leftByUs is for how long a peer is not dialled automatically after this node has
	// closed its connection: on request, to have fewer connections, or because of
	// churn. leftByPeer is the same after the peer has closed the connection.
	leftByUs   = 10 * time.Minute
	leftByPeer = 30 * time.Second
	// maxLeft limits the peers for which such a time is remembered.
	maxLeft = 1024
)

func newFloorDialer(room *Room) floorDialer {
	return floorDialer{room: room, dials: make(map[uint64]identity.NodeID)}
}

// missing returns how many more nodes have to be connected to reach the floor.
func (f *floorDialer) missing() int {
	n := f.room.Floor
	if n <= 0 {
		return 0
	}
	for _, ref := range f.room.Connections.All() {
		if ref.Features.IsNode() {
			n--
		}
	}
	return max(n, 0)
}

// uncovered returns how many nodes are missing beyond those that a part is about to connect
// to.
func (f *floorDialer) uncovered() int { return max(f.missing()-int(f.room.planned.Load()), 0) }

// soon plans a round after a pause, unless a round is under way or planned.
func (f *floorDialer) soon(c actor.Context) {
	if f.timer != nil || len(f.dials) > 0 || f.missing() == 0 {
		return
	}
	wait := backoff.Doubled(f.barren+1, fillFirst, fillMax)
	wait = wait/2 + time.Duration(supervisor.Rand(c).Int64N(int64(wait/2)))
	f.timer = supervisor.After(c, wait, fillTick{})
}

// anew plans the next round anew, as after a new connection.
func (f *floorDialer) anew(c actor.Context) {
	f.barren = 0
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
		f.soon(c)
	}
}

func (f *floorDialer) due(c actor.Context) {
	f.timer = nil
	if f.missing() > 0 && f.uncovered() == 0 {
		f.barren++
		f.soon(c) // look again: what the part dials may fail
		return
	}
	f.round(c)
}

// refresh begins a round at once, unless one is under way or planned.
func (f *floorDialer) refresh(c actor.Context) {
	if f.timer == nil {
		f.round(c)
	}
}

// gained handles a new connection: it cancels the round if the floor is reached.
func (f *floorDialer) gained(c actor.Context) {
	f.barren = 0
	if f.missing() > 0 {
		return
	}
	for token, peer := range f.dials {
		c.Send(f.room.Dialer, dialling.CancelDial{Peer: peer, Token: token, Reply: c.Self()})
	}
}

// isolated reports whether no node is connected.
func (f *floorDialer) isolated() bool { return f.room.Floor > 0 && f.missing() == f.room.Floor }

// round chooses peers and dials them, if nodes are missing and no round is under way.
func (f *floorDialer) round(c actor.Context) {
	missing := f.uncovered()
	if missing == 0 || len(f.dials) > 0 {
		return
	}
	now, health := supervisor.Now(c), f.room.memory.health
	candidates := f.candidates(c, now)
	choice := connpool.Choose(connpool.Request{At: now, Missing: missing, Rate: health.Rate(now), Candidates: candidates})
	f.room.choices.Add(choice)
	chosen := connpool.Chosen(choice)
	entry := make(map[identity.NodeID]bool)
	f.nobody, f.refused = len(chosen) == 0, 0
	for _, x := range candidates {
		entry[x.Peer] = x.Entry
		if x.Out != outConnected {
			f.refused++
		}
	}
	f.barren++
	for _, peer := range chosen {
		if !entry[peer] && !health.Admit(now, peer) {
			continue
		}
		m := dialling.NewDialPeer(f.room.System, f.room.NewID(), peer, c.Self(), "connectivity, too few connections")
		m.Automatic = true
		f.dials[m.Token] = peer
		c.Send(f.room.Dialer, m)
	}
}

// dialed handles the end of a dial and reports whether the dial belongs to this round.
func (f *floorDialer) dialed(c actor.Context, m dialling.PeerDialed) bool {
	peer, ok := f.dials[m.Token]
	if !ok || m.Token == 0 {
		return false
	}
	delete(f.dials, m.Token)
	if m.Err != nil {
		f.room.memory.health.Abandoned(peer) // matters for a cancelled dial: a failure has ended the trial already
	}
	if len(f.dials) == 0 {
		f.soon(c)
	}
	return true
}

// leave notes until when a peer whose connection has ended is not dialled
// automatically.
func (f *floorDialer) leave(c actor.Context, m actors.PeerDisconnected) {
	var wait time.Duration
	switch {
	case m.Reason.Code == actors.CloseRequested, m.Reason.Code == actors.CloseReaped, m.Reason.Code == actors.CloseMinimised,
		m.Reason.Code == actors.CloseReplaced, m.Reason.Code == actors.CloseChurn:
		wait = leftByUs
	case m.Reason.By == "peer":
		wait = leftByPeer
	default:
		return
	}
	left, now := f.room.memory.left, supervisor.Now(c)
	if len(left) >= maxLeft {
		for peer, until := range left {
			if !until.After(now) {
				delete(left, peer)
			}
		}
		if len(left) >= maxLeft {
			return
		}
	}
	left[m.Peer] = now.Add(wait)
}

// candidates returns the known nodes, with all values that a choice considers.
func (f *floorDialer) candidates(c actor.Context, now time.Time) []protocol.DialCandidate {
	var list []protocol.DialCandidate
	isolated := f.isolated()
	wall := f.room.Wall()
	for p := range f.room.needs.Records().All() {
		if p.ID == f.room.Self || p.Key.IsZero() || !p.Features.IsNode() {
			continue
		}
		x := protocol.DialCandidate{
			Peer: p.ID, Reached: !p.LastSeen().IsZero(),
			Health: f.room.memory.health.Peer(now, p.ID), Draw: supervisor.Rand(c).Uint64(),
		}
		var tried time.Time // on the system's clock
		for _, a := range p.Addresses {
			if a.LastAttempted.After(tried) {
				tried = a.LastAttempted
			}
		}
		if !tried.IsZero() { // a time in the future counts as now
			x.Tried = now.Add(-max(0, wall.Sub(tried)))
		}
		x.Group, x.Out = f.consider(p, now)
		x.Entry = isolated && x.Out == "" && p.Configured()
		list = append(list, x)
	}
	limitEntries(list)
	return list
}

// entries is how many seeds a round of an isolated node dials whatever became of earlier dials.
const entries = 5

// limitEntries leaves those seeds as entries that were dialled longest ago.
func limitEntries(list []protocol.DialCandidate) {
	var all []*protocol.DialCandidate
	for i := range list {
		if list[i].Entry {
			all = append(all, &list[i])
		}
	}
	slices.SortFunc(all, func(a, b *protocol.DialCandidate) int {
		return cmp.Or(a.Tried.Compare(b.Tried), cmp.Compare(a.Draw, b.Draw))
	})
	for _, x := range all[min(entries, len(all)):] {
		x.Entry = false
	}
}

// outConnected is why a connected peer is not dialled.
const outConnected = "connected"

// consider returns the network group of a peer's best address, and why the peer is not
// dialled; out is "" if it can be.
func (f *floorDialer) consider(p peerstore.Peer, now time.Time) (group, out string) {
	first, err := f.room.needs.FirstAddress(p)
	if err == nil {
		group = address.Group(first)
	}
	_, connected := f.room.Connections.Get(p.ID)
	_, protected := f.room.memory.tags[p.ID]
	until := f.room.memory.left[p.ID]
	switch {
	case connected:
		out = outConnected
	case f.room.needs.Banned(p.ID) != nil:
		out = "banned until " + p.BannedUntil.UTC().Format(time.RFC3339)
	case errors.Is(err, actors.ErrNotAdmitted):
		out = "not admitted"
	case err != nil:
		out = "none of its addresses can be dialled"
	case protected:
		out = "dialled because it is protected"
	case until.After(now):
		out = "left alone until " + f.room.OnWall(until).UTC().Format(time.RFC3339) + " after its connection was closed"
	}
	return group, out
}

// cause returns in words what the node does to reach the floor; "" if the floor is
// reached.
func (f *floorDialer) cause() string {
	missing := f.missing()
	switch {
	case missing == 0:
		return ""
	case len(f.dials) > 0:
		return fmt.Sprintf("looking for %s, dialling %d now", moreNodes(missing), len(f.dials))
	case f.nobody:
		nodes, others := f.unconnected()
		switch {
		case nodes > 0 && f.refused > 0:
			return fmt.Sprintf("looking for %s, but %s", moreNodes(missing), undialable(min(f.refused, nodes)))
		case nodes > 0: // learnt since that choice: the next one has them
			return "looking for " + moreNodes(missing)
		case f.room.seedTrouble() != "":
			return f.room.seedTrouble()
		case missing < f.room.Floor:
			return fmt.Sprintf("no other nodes are known yet; the node connects to up to %d", f.room.Floor)
		case others == 1:
			return "the only known peer is not a node; add a seed, KEY::ADDRESS"
		case others > 0:
			return fmt.Sprintf("none of the %d known peers is a node; add a seed, KEY::ADDRESS", others)
		}
		return "no other node is known yet; add a seed, KEY::ADDRESS"
	}
	return "looking for " + moreNodes(missing)
}

// unconnected returns how many known nodes are not connected, and how many other peers are known.
func (f *floorDialer) unconnected() (nodes, others int) {
	for p := range f.room.needs.Records().All() {
		_, connected := f.room.Connections.Get(p.ID)
		switch {
		case p.ID == f.room.Self:
		case p.Key.IsZero() || !p.Features.IsNode():
			others++
		case !connected:
			nodes++
		}
	}
	return nodes, others
}

// undialable returns the text for a choice that found no known peer to dial.
func undialable(known int) string {
	if known == 1 {
		return "the only other one that is known cannot be dialled now"
	}
	return fmt.Sprintf("none of the %d others that are known can be dialled now", known)
}

func moreNodes(n int) string {
	if n == 1 {
		return "1 more node"
	}
	return fmt.Sprintf("%d more nodes", n)
}
