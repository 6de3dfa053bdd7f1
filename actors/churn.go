package actors

import (
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// churnPacer limits, for one connection, the substreams of the peer that end without an
// agreed protocol. If the connection or its source has too many of them, churnPacer has
// the session pause its reading, or end.
type churnPacer struct {
	gate   *inboundGate
	origin netip.Prefix
	conn   connpool.ConnChurn // guarded by gate.mu
}

// pacer returns the churnPacer for a connection with a peer at this address, whichever
// side has dialled.
func (g *inboundGate) pacer(at ma.Multiaddr) *churnPacer {
	return &churnPacer{gate: g, origin: g.from(at).Origin}
}

func (p *churnPacer) Ended() (wait time.Duration, ok bool) {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	return p.gate.churn.Ended(p.gate.now(), &p.conn, p.origin)
}

func (p *churnPacer) Agreed() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.churn.Agreed(&p.conn, p.origin)
}
