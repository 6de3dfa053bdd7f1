package actors

import (
	"bytes"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// SharedIdentity is a peer whose inbound connections from different places keep taking
// each other's place: two nodes may use one identity, a copied data directory
// for instance.
type SharedIdentity struct {
	At         time.Time       // when it was noticed last
	Here, Then ma.Multiaddr    // where the newest connection comes from, and the one before
	Peer       identity.NodeID // whose identity it is
}

// replacements counts how often a peer's connection was replaced by one from
// elsewhere. A node leaves who closed its connection alone for half a minute, so
// two of them come back about twice a minute.
type replacements map[identity.NodeID][]time.Time

const (
	replacedOften  = 3
	replacedWithin = 5 * time.Minute
)

// count counts one more and reports whether it is often. When there are too many
// peers it begins anew.
func (r replacements) count(now time.Time, peer identity.NodeID) bool {
	if len(r) >= maxSharedIdentities {
		clear(r)
	}
	times := append(r[peer], now)
	times = times[max(0, len(times)-replacedOften):]
	r[peer] = times
	return len(times) == replacedOften && now.Sub(times[0]) < replacedWithin
}

const (
	maxSharedIdentities = 64               // peers remembered
	sharedQuiet         = 10 * time.Minute // without a replacement: then the log says it again
)

// place is where a peer says that it listens, or where its connection comes
// from, without the port, which each connection has its own of.
func place(m Upgraded) string {
	if claimed := slices.Clone(m.Message.Claim.Addresses); len(claimed) > 0 {
		slices.SortFunc(claimed, bytes.Compare)
		return string(bytes.Join(claimed, []byte{0}))
	}
	if host, _ := ma.SplitFirst(m.Addr); host != nil {
		return host.String()
	}
	return ""
}

// replaced looks whether the connection that arrives takes the place of one from
// elsewhere, and warns when that goes on.
func (a *conns) replaced(c actor.Context, old, ref *ConnRef) {
	if old.Retired() || old.Direction != ref.Direction || old.place == ref.place {
		return
	}
	now := supervisor.Now(c)
	if !a.replacements.count(now, ref.Peer) {
		return
	}
	if a.env.SharedIdentities.Len() >= maxSharedIdentities {
		a.env.SharedIdentities.Clear()
	}
	last, known := a.env.SharedIdentities.Get(ref.Peer)
	a.env.SharedIdentities.Set(ref.Peer, SharedIdentity{now, ref.Addr, old.Addr, ref.Peer})
	if !known || now.Sub(last.At) >= sharedQuiet {
		supervisor.Log(c).Warn("two nodes may use the same identity: connections of a peer from different places keep replacing each other; give each node a data directory of its own",
			"peer", ref.Peer, "from", ref.Addr, "before", old.Addr)
	}
}
