package actors

import (
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// churnPacer holds the peer of one connection back, or ends it, when too many of its
// substreams, or of those of its source, end without an agreed protocol.
type churnPacer struct {
	gate   *inboundGate
	origin netip.Prefix
	conn   connpool.ConnChurn // guarded by gate.mu
}

// pacer is that of a connection with a peer at an address, whoever dialled.
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
