package daemon

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// whyPeer lets the API explain what the node chose.
func whyPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Do: func(ctx context.Context, peer string, _ url.Values) (any, error) {
		text, err := nodeSender{n}.find(ctx, peer)
		if err != nil {
			return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: err.Error(), Hint: api.UnknownHint}
		}
		id, err := identity.ParseNodeID(text)
		if err != nil {
			return nil, err
		}
		return whyOf(n, id), nil
	}}
}

func whyOf(n *gamelan.Node, id identity.NodeID) api.Why {
	ref, connected := n.Connection(id)
	w := api.Why{
		NodeID: id.String(), Connected: connected, Protected: append([]string{}, n.Owners(id)...),
		Candidates: []api.Candidate{}, Dials: []api.Dial{},
	}
	if p, ok := n.Peers().Get(id); ok {
		w.Addresses = len(p.Addresses)
		if !p.Key.IsZero() {
			w.PublicKey = p.Key.String()
		}
		if p.Banned(n.Actors().Wall()) {
			w.BannedUntil, w.BanReason = p.BannedUntil, failure.OneLine(p.BanReason)
		}
	}
	if connected {
		w.Direction, w.Remote, w.Since = ref.Direction.String(), ref.Addr.String(), n.Actors().OnWall(ref.Since)
	} else if due, ok := n.Actors().Redials.Get(id); ok {
		w.NextDialAt = n.Actors().OnWall(due)
	}
	for _, m := range n.Actors().NotTaken() {
		if m.Peer == id {
			w.NotTaken = append(w.NotTaken, failure.OneLine(fmt.Sprintf("It takes no messages of ours on %s: it ended %s in a row, the last at %s (%v)",
				m.Protocol, inspect.Count(uint64(m.Times), "substream"), m.Last.Local().Format(time.TimeOnly), m.Err)))
		}
	}
	for _, d := range n.Attempts(id) {
		x := api.Dial{At: n.Actors().OnWall(d.At), Addr: d.Addr.String(), Stage: d.Stage, TookMS: float64(d.Took.Microseconds()) / 1000, By: d.By}
		if d.Err != nil {
			x.Error = failure.OneLine(d.Err.Error())
		}
		w.Dials = append(w.Dials, x)
	}
	if last, ok := lastClosed(n, id); ok && !connected {
		w.Lost, w.LostAt = failure.OneLine(last.Reason.String()), n.Actors().OnWall(last.At)
	}
	choice, ok := n.Choice(id)
	if !ok {
		return w
	}
	w.At, w.Purpose, w.Missing, w.Wanted, w.Considered = n.Actors().OnWall(choice.At), choice.Purpose, choice.Missing, choice.Wanted, choice.Considered
	for i, r := range choice.Ranked {
		x := api.Candidate{
			Rank: i + 1, NodeID: r.Peer.String(), Score: r.Score, Parts: make(map[string]float64, len(r.Parts)),
			Chosen: r.Chosen, Verdict: r.Verdict,
		}
		for _, p := range r.Parts {
			x.Parts[p.Name] = p.Value
		}
		w.Candidates = append(w.Candidates, x)
	}
	return w
}

// lastClosed is the last connection to a peer that has ended, of those that are
// remembered. The loser of a tie-break ended nothing.
func lastClosed(n *gamelan.Node, id identity.NodeID) (last actors.ClosedConn, ok bool) {
	for _, c := range n.Actors().Closed.Last() {
		if c.Ref.Peer == id && c.Reason.Code != actors.CloseTieBreak {
			last, ok = c, true
		}
	}
	return last, ok
}
