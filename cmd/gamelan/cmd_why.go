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
	if err := newClient(a.dir).post(a.ctx, "/v1/peers/"+url.PathEscape(c.Peer)+":why", nil, &w); err != nil {
		return err
	}
	return printWhy(a, w)
}

// whyAnswer is what the API says about a peer and the choices of the node.
type whyAnswer struct {
	NodeID     string         `json:"node_id"`
	Connected  bool           `json:"connected"`
	Lost       string         `json:"lost,omitempty"` // why the last connection to it ended, if there is none
	Owners     []string       `json:"owners"`
	At         time.Time      `json:"at,omitzero"` // of the choice; zero: none is remembered
	Purpose    string         `json:"purpose,omitempty"`
	Missing    int            `json:"missing,omitempty"`
	Wanted     int            `json:"wanted,omitempty"`
	Considered int            `json:"considered,omitempty"`
	Candidates []whyCandidate `json:"candidates"`
	Dials      []whyDial      `json:"dials"`
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
		text, err := nodeSender{n}.Resolve(ctx, peer)
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
	_, connected := n.Connection(id)
	w := whyAnswer{
		NodeID: id.String(), Connected: connected, Owners: append([]string{}, n.Owners(id)...),
		Candidates: []whyCandidate{}, Dials: []whyDial{},
	}
	for _, d := range n.Attempts(id) {
		x := whyDial{At: d.At, Addr: d.Addr.String(), Stage: d.Stage, TookMS: float64(d.Took.Microseconds()) / 1000, By: d.By}
		if d.Err != nil {
			x.Error = oneLine(d.Err.Error())
		}
		w.Dials = append(w.Dials, x)
	}
	if last, ok := lastClosed(n, id); ok && !connected {
		w.Lost = oneLine(last.Reason.String())
	}
	choice, ok := n.Choice(id)
	if !ok {
		return w
	}
	w.At, w.Purpose, w.Missing, w.Wanted, w.Considered = choice.At, choice.Purpose, choice.Missing, choice.Wanted, choice.Considered
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
// remembered.
func lastClosed(n *gamelan.Node, id identity.NodeID) (last actors.ClosedConn, ok bool) {
	for _, c := range n.Actors().Closed.Last() {
		if c.Ref.Peer == id {
			last, ok = c, true
		}
	}
	return last, ok
}

// whyParts are the parts of a score in the order of their weight.
var whyParts = []string{"reached before", "health", "rested"}

// printWhy writes the choice as a table, the best first, and then the dials.
func printWhy(a *app, w whyAnswer) error {
	if a.json {
		return a.printJSON(w)
	}
	state := "is not connected"
	if w.Connected {
		state = "is connected"
	}
	line := w.NodeID + " " + state
	if w.Lost != "" {
		line += "; its last connection ended: " + w.Lost
	}
	if len(w.Owners) > 0 {
		line += ", wanted by " + strings.Join(w.Owners, ", ")
	}
	fmt.Fprintln(a.out, inspect.Escape(line)+".")
	if len(w.Candidates) == 0 {
		fmt.Fprintln(a.out, "No choice that is remembered has looked at it: the node dials of its own accord only while it has too few connections.")
	} else {
		fmt.Fprintf(a.out, "The last %s at %s looked for %d of %d candidates, %d connections being missing:\n",
			w.Purpose, w.At.Local().Format(time.TimeOnly), w.Wanted, w.Considered, w.Missing)
		rows := [][]string{{"RANK", "NODE ID", "SCORE", "PARTS", "VERDICT"}}
		for _, c := range w.Candidates {
			if c.NodeID != w.NodeID && c.Rank > whyShown {
				continue
			}
			var parts []string
			for _, name := range whyParts {
				parts = append(parts, fmt.Sprintf("%s %.2f", name, c.Parts[name]))
			}
			rows = append(rows, []string{fmt.Sprint(c.Rank), c.NodeID[:16], fmt.Sprintf("%.2f", c.Score), strings.Join(parts, ", "), c.Verdict})
		}
		if err := a.table(rows); err != nil {
			return err
		}
	}
	if len(w.Dials) == 0 {
		return nil
	}
	rows := [][]string{{"DIALLED", "ADDRESS", "BY", "TOOK", "ENDED"}}
	for _, d := range w.Dials {
		end := "connected"
		if d.Error != "" {
			end = d.Stage + ": " + d.Error
		}
		rows = append(rows, []string{d.At.Local().Format(time.TimeOnly), d.Addr, d.By, fmt.Sprintf("%.1fms", d.TookMS), end})
	}
	return a.table(rows)
}

// whyShown is how many of the best candidates are shown beside the peer itself.
const whyShown = 20
