package actors

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// offence counts an offence that came from there. It reports whether the source
// is refused from now on.
func (g *inboundGate) offence(from peerstore.Origin) (source netip.Prefix, refused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	source, _ = from.Source()
	return source, g.offenders.Offence(g.now(), source)
}

// offended counts an offence by where it came from, and says so when that source
// is refused from now on.
func (e *env) offended(c actor.Context, from peerstore.Origin) {
	if source, refused := e.inbound.offence(from); refused {
		supervisor.Log(c).Warn("too many offences from one source; its connections are refused", "addr", source, "ban", connpool.OffencesWithin)
	}
}

// refuse has a source refused for so long, in place of a ban.
func (g *inboundGate) refuse(from peerstore.Origin, long time.Duration) (source netip.Prefix, fresh bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	source, _ = from.Source()
	return source, g.offenders.Refuse(g.now(), source, long)
}

// refusedSources returns the sources whose connections are refused before a byte
// is read, because of their offences; the times are those of Now.
func (e *env) refusedSources() []connpool.Refused {
	e.inbound.mu.Lock()
	defer e.inbound.mu.Unlock()
	return e.inbound.offenders.All(e.Now())
}

// SourceRefusedError refuses an inbound connection because of the offences of
// others from the same source.
type SourceRefusedError struct {
	Source netip.Prefix
	For    time.Duration // still
}

// Error says who is refused and for how long.
func (e *SourceRefusedError) Error() string {
	return fmt.Sprintf("actors: too many offences from %s; it is refused for another %s", e.Source, e.For.Round(time.Second))
}
