package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type whyCmd struct {
	Peer string `arg:"" name:"peer-or-actor" help:"A node id or public key that gamelan peers lists, or the path or name of an actor in gamelan tree."`
}

// Run shows the last choice that looked at the peer, and its last dials; of an
// actor, what it does and where.
func (c *whyCmd) Run(a *app) error {
	if err := checkKnownPeer(c.Peer); err != nil {
		if strings.Contains(c.Peer, "::") {
			return err
		}
		return whyActor(a, c.Peer)
	}
	var w whyAnswer
	if err := a.client().post(a.ctx, "/v1/peers/"+url.PathEscape(c.Peer)+":why", nil, &w); err != nil {
		return err
	}
	return printWhy(a, w)
}

// whyAnswer is what the API says about a peer and the choices of the node.
type whyAnswer struct {
	NodeID      string         `json:"node_id"`
	PublicKey   string         `json:"public_key,omitempty"`
	Addresses   int            `json:"addresses"` // how many are known
	BannedUntil time.Time      `json:"banned_until,omitzero"`
	BanReason   string         `json:"ban_reason,omitempty"`
	Connected   bool           `json:"connected"`
	Direction   string         `json:"direction,omitempty"` // of the connection
	Remote      string         `json:"remote,omitempty"`    // … its address
	Since       time.Time      `json:"since,omitzero"`      // … when it was made
	Lost        string         `json:"lost,omitempty"`      // why the last connection to it ended, and who ended it, if there is none
	LostAt      time.Time      `json:"lost_at,omitzero"`
	NotTaken    []string       `json:"not_taken,omitempty"`   // sentences: on which protocols it takes no messages of ours
	NextDialAt  time.Time      `json:"next_dial_at,omitzero"` // when the node dials it again of its own accord, if it will
	Owners      []string       `json:"owners"`
	At          time.Time      `json:"at,omitzero"` // of the choice; zero: none is remembered
	Purpose     string         `json:"purpose,omitempty"`
	Missing     int            `json:"missing,omitempty"`
	Wanted      int            `json:"wanted,omitempty"`
	Considered  int            `json:"considered,omitempty"`
	Candidates  []whyCandidate `json:"candidates"`
	Dials       []whyDial      `json:"dials"`
}

type whyCandidate struct {
	Rank    int                `json:"rank"`
	NodeID  string             `json:"node_id"`
	Score   float64            `json:"score"`
	Parts   map[string]float64 `json:"parts"`
	Chosen  bool               `json:"chosen"`
	Verdict string             `json:"verdict"`
}

type whyDial struct {
	At     time.Time `json:"at"`
	Addr   string    `json:"addr"`
	Stage  string    `json:"stage,omitempty"`
	Error  string    `json:"error,omitempty"`
	TookMS float64   `json:"took_ms"`
	By     string    `json:"by"`
}

// whyPeer lets the API explain what the node chose.
func whyPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Do: func(ctx context.Context, peer string, _ url.Values) (any, error) {
		text, err := nodeSender{n}.find(ctx, peer)
		if err != nil {
			return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: err.Error(), Hint: unknownHint}
		}
		id, err := identity.ParseNodeID(text)
		if err != nil {
			return nil, err
		}
		return whyOf(n, id), nil
	}}
}

func whyOf(n *gamelan.Node, id identity.NodeID) whyAnswer {
	ref, connected := n.Connection(id)
	w := whyAnswer{
		NodeID: id.String(), Connected: connected, Owners: append([]string{}, n.Owners(id)...),
		Candidates: []whyCandidate{}, Dials: []whyDial{},
	}
	if p, ok := n.Peers().Get(id); ok {
		w.Addresses = len(p.Addresses)
		if !p.Key.IsZero() {
			w.PublicKey = p.Key.String()
		}
		if p.Banned(n.Actors().Wall()) {
			w.BannedUntil, w.BanReason = p.BannedUntil, oneLine(p.BanReason)
		}
	}
	if connected {
		w.Direction, w.Remote, w.Since = ref.Direction.String(), ref.Addr.String(), n.Actors().OnWall(ref.Since)
	} else if due, ok := n.Actors().Redials.Get(id); ok {
		w.NextDialAt = n.Actors().OnWall(due)
	}
	for _, m := range n.Actors().NotTaken() {
		if m.Peer == id {
			w.NotTaken = append(w.NotTaken, oneLine(fmt.Sprintf("It takes no messages of ours on %s: it ended %s in a row, the last at %s (%v)",
				m.Protocol, inspect.Count(uint64(m.Times), "substream"), m.Last.Local().Format(time.TimeOnly), m.Err)))
		}
	}
	for _, d := range n.Attempts(id) {
		x := whyDial{At: n.Actors().OnWall(d.At), Addr: d.Addr.String(), Stage: d.Stage, TookMS: float64(d.Took.Microseconds()) / 1000, By: d.By}
		if d.Err != nil {
			x.Error = oneLine(d.Err.Error())
		}
		w.Dials = append(w.Dials, x)
	}
	if last, ok := lastClosed(n, id); ok && !connected {
		w.Lost, w.LostAt = oneLine(last.Reason.String()), n.Actors().OnWall(last.At)
	}
	choice, ok := n.Choice(id)
	if !ok {
		return w
	}
	w.At, w.Purpose, w.Missing, w.Wanted, w.Considered = n.Actors().OnWall(choice.At), choice.Purpose, choice.Missing, choice.Wanted, choice.Considered
	for i, r := range choice.Ranked {
		x := whyCandidate{
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
