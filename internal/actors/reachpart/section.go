package reachpart

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/transport"
)

// node fills in the section "node": whether others can connect to the node's addresses, and the
// last change of those that it tells others.
func (r *Reach) node(v *models.Node) {
	told := r.Claimed()
	for _, j := range r.Verdicts() {
		v.Reach = append(v.Reach, models.Reach{
			Addr: j.Addr.String(), Verdict: j.Verdict.String(), Nodes: j.By, Again: j.Again, Why: j.Why,
			Told:  slices.ContainsFunc(told, transport.FromAddrPort(j.Addr).Equal),
			Since: r.trunk.Shown(j.Since), At: r.trunk.Shown(j.At),
		})
	}
	if t := r.clockTold.Load(); t != nil && t.ok {
		v.Clock = &models.Clock{AheadMS: t.ahead.Milliseconds(), Sources: t.sources}
	}
	m, ok := r.Moved()
	if !ok {
		return
	}
	v.Moved = &models.Moved{At: r.trunk.OnWall(m.At)}
	for _, a := range m.Before {
		v.Moved.Before = append(v.Moved.Before, a.String())
	}
}
