package connections

import (
	"bytes"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// SharedIdentity is a peer whose connections from different places keep replacing each
// other. Two nodes may be using one identity, for instance after a data directory was
// copied.
type SharedIdentity struct {
	At         time.Time       // when it was noticed last
	Here, Then ma.Multiaddr    // addresses of the newest connection and of the one before
	Peer       identity.NodeID // the identity
}

// replacements counts how often a peer's connection was replaced by one from another
// place. A node waits for half a minute before it dials a peer again that has closed the
// connection, so each of two nodes with one identity comes back about twice a minute.
type replacements map[identity.NodeID][]time.Time

const (
	replacedOften  = 3
	replacedWithin = 5 * time.Minute
)

// count counts one replacement. It reports whether there were replacedOften of them within
// replacedWithin. When there are too many peers, it forgets all earlier counts.
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
	sharedQuiet         = 10 * time.Minute // without a replacement: after this the next warning is logged again
)

// place returns the addresses at which a peer says that it listens. If there are none, it
// returns the host from which the peer's connection comes, without the port, because each
// connection has a different port.
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

// otherClaim returns the last other claim of the peer whose connection old a new one with this claim
// replaces; nil: there is none.
func otherClaim(old *actors.ConnRef, claim identity.Claim, now time.Time) *link.Other {
	switch {
	case old == nil:
		return nil
	case old.Link().Claim != nil && old.Link().Claim.Signature != claim.Signature:
		return &link.Other{Claim: old.Link().Claim, Since: old.Since, Wall: old.Link().Wall}
	}
	if o := old.Link().Other; o != nil && o.Claim.Signature != claim.Signature && now.Sub(o.Since) < reach.DuplicateFor {
		return o
	}
	return nil
}

// replaced checks whether the new connection ref replaces a connection from another place,
// and warns if that happens often.
func (a *conns) replaced(c actor.Context, old, ref *actors.ConnRef) {
	if old.Retired() || old.Direction != ref.Direction || old.Link().Place == ref.Link().Place {
		return
	}
	now := supervisor.Now(c)
	if !a.replacements.count(now, ref.Peer) {
		return
	}
	if a.room.SharedIdentities.Len() >= maxSharedIdentities {
		a.room.SharedIdentities.Clear()
	}
	last, known := a.room.SharedIdentities.Get(ref.Peer)
	a.room.SharedIdentities.Set(ref.Peer, SharedIdentity{now, ref.Addr, old.Addr, ref.Peer})
	if !known || now.Sub(last.At) >= sharedQuiet {
		supervisor.Log(c).Warn("two nodes may use the same identity: connections of a peer from different places keep replacing each other; give each node a data directory of its own",
			"peer", ref.Peer, "from", ref.Addr, "before", old.Addr)
	}
}
