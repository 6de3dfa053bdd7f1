package nodeview

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// node returns the section "node": the node's identity and its state.
func (v *View) node(ctx context.Context) models.Node {
	now := v.Trunk.Now() // the section describes this moment
	n := v.figures(now)
	n.Warnings = append(n.Warnings, v.warnings(now)...)
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	status, err := v.Status(ctx)
	if err != nil {
		n.Status, n.Cause = "unknown", connectivitySilent
		n.Warnings = append(n.Warnings, codes.ConnectivitySilent.Notice(connectivitySilent))
		return n
	}
	n.Status, n.Cause, n.Wanted = status.State, status.Cause, status.Wanted
	if !status.Since.IsZero() {
		n.Since = v.Trunk.OnWall(status.Since)
	}
	if status.State == connpool.Offline.String() {
		dialling := v.unanswered(ctx)
		if n.Tried = tried(&status); n.Tried == nil && dialling != "" {
			n.Tried = new(codes.DialNoAnswer.Notice(dialling))
		}
		if dialling != "" {
			n.Cause += "; " + dialling + ": it is away, it hangs, or a firewall drops it"
		}
	}
	return n
}

// figures returns what the section has without waiting for an actor, and without its warnings.
func (v *View) figures(now time.Time) models.Node {
	t := v.Trunk
	wall := t.OnWall(now)
	profile := t.Profile()
	inUsed, inLimit, outUsed, outLimit := t.Credit()
	n := models.Node{
		NodeID: t.Self().String(), PublicKey: t.Key().String(),
		Network: profile.NetworkName(), Private: profile.Private != "", Profile: profile.Name,
		Addresses: []string{}, Warnings: models.Notices{},
		Credit:    models.Credit{Used: inUsed + outUsed, Limit: inLimit + outLimit},
		StartedAt: t.OnWall(v.Start), Version: v.Version, PID: os.Getpid(), Peers: t.Store().Len(),
		Places: places(t.Inbounds()),
	}
	for _, c := range t.Connections().All() {
		n.Held++
		n.Calls += c.CallsUnderWay()
		if c.Direction == protocol.Inbound {
			n.Inbound++
		} else {
			n.Outbound++
		}
	}
	for p := range t.Store().All() {
		if p.Banned(wall) {
			n.Banned++
		}
	}
	if !v.OnlyDials() {
		for _, a := range t.Addresses() {
			n.Addresses = append(n.Addresses, a.String())
		}
	}
	for _, p := range v.Parts {
		if p.Node != nil {
			p.Node(&n)
		}
	}
	return n
}

// answerDue is how long a dial may have no answer before the node says so.
const answerDue = 3 * time.Second

// tried returns why the peer that matters most was not reached, nil if nobody was tried.
func tried(s *actors.Status) *models.Notice {
	c := codes.Named(s.TriedCode)
	if s.Tried == "" || c == nil {
		return nil
	}
	return new(c.Notice(s.Tried))
}

// unanswered says which dial has had no answer for longest. It returns "" if none has waited for answerDue.
func (v *View) unanswered(ctx context.Context) string {
	dials, _ := v.Dials(ctx) // without an answer there is nothing to say
	var longest actors.DialUnderWay
	for _, d := range dials {
		if d.Addr != nil && (longest.Addr == nil || d.Since.Before(longest.Since)) {
			longest = d
		}
	}
	waited := v.Trunk.Now().Sub(longest.Since)
	if longest.Addr == nil || waited < answerDue {
		return ""
	}
	return fmt.Sprintf("no answer from %s for %s", address.Short(longest.Addr), words.Long(waited))
}

func places(g connpool.GateStats) models.Places {
	return models.Places{
		Inbound: g.Conns, MaxInbound: g.MaxInbound, Setups: g.Setups, MaxSetups: g.MaxSetups,
		MaxSetupRate: g.MaxSetupRate, Preempted: g.Preempted, Replaced: g.Replaced, Refused: g.Refused, TooFast: g.TooFast, Waited: g.Waited,
		OtherNetwork: g.OtherNetwork, RefusedBy: g.RefusedBy,
	}
}
