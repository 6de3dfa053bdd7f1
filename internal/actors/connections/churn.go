package connections

import (
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
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

// negotiates counts a substream without an agreed protocol, and resets one that makes way for it.
// The substream counts until agreed is called.
func (g *inboundGate) negotiates(with *actors.ConnRef, now time.Time, s *mux.Stream) (agreed func()) {
	who := base.HolderOf(with, now)
	g.mu.Lock()
	way, ok := g.negotiations.Begin(who, s)
	g.mu.Unlock()
	if ok {
		way.Close()
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.negotiations.End(who, s)
	}
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
