package connections

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// offence counts an offence against the source of from. refused reports whether the
// source is refused from now on.
func (g *inboundGate) offence(from peerstore.Origin) (source netip.Prefix, refused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	source, _ = from.Source()
	return source, g.offenders.Offence(g.now(), source)
}

// Offended counts an offence against the source of from, and logs a warning if the
// source is refused from now on.
func (r *Room) Offended(c actor.Context, from peerstore.Origin) {
	if source, refused := r.inbound.offence(from); refused {
		supervisor.Log(c).Warn("too many offences from one source; its connections are refused", "addr", source, "ban", connpool.OffencesWithin)
	}
}

// RefusedSources returns the sources whose connections are refused before a byte
// is read, because of offences. Its times are on the clock of Now.
func (r *Room) RefusedSources() []connpool.Refused {
	r.inbound.mu.Lock()
	defer r.inbound.mu.Unlock()
	return r.inbound.offenders.All(r.Now())
}

// RefuseSource refuses the connections of a source for the duration long, in place of a ban. fresh
// reports whether the source was not refused before.
func (r *Room) RefuseSource(from peerstore.Origin, long time.Duration) (source netip.Prefix, fresh bool) {
	g := &r.inbound
	g.mu.Lock()
	defer g.mu.Unlock()
	source, _ = from.Source()
	return source, g.offenders.Refuse(g.now(), source, long)
}

// SourceRefusedError reports that an inbound connection was refused because of
// earlier offences from the same source.
type SourceRefusedError struct {
	Source netip.Prefix
	For    time.Duration // remaining time
}

// Error names the source and the remaining time.
func (e *SourceRefusedError) Error() string {
	return fmt.Sprintf("actors: too many offences from %s; it is refused for another %s", e.Source, e.For.Round(time.Second))
}
