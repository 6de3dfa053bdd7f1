package discovery

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Limits of what the messages of others make a node do.
const (
	JoinLimit       = 1000           // Joins looked at from one source, in any JoinSpan
	JoinSpan        = time.Minute    //
	ReplyPause      = time.Second    // between two replies to Discoveries of one author
	ReplyLimit      = 120            // replies to Discoveries, in any ReplySpan
	ReplySourcePart = ReplyLimit / 8 // of them, to Discoveries that came from one source
	ReplyExemptPart = ReplyLimit / 2 // … from all exempt sources, each peer of which may have ReplySourcePart
	ReplySpan       = time.Minute    //
)

// Limiter keeps the limits above.
type Limiter struct {
	joins   *rate[identity.NodeID]
	authors *rate[identity.PublicKey]
	sources *rate[sender]
	exempt  *rate[struct{}]
	replies *rate[struct{}]
}

// sender is who brings Discoveries: the source of inbound connections, or, where there is none, a peer.
type sender struct {
	from share.Source
	peer identity.NodeID
}

// NewLimiter returns a limiter that has counted nothing.
func NewLimiter() *Limiter {
	return &Limiter{
		joins:   newRate[identity.NodeID](JoinLimit, JoinSpan),
		authors: newRate[identity.PublicKey](1, ReplyPause),
		sources: newRate[sender](ReplySourcePart, ReplySpan),
		exempt:  newRate[struct{}](ReplyExemptPart, ReplySpan),
		replies: newRate[struct{}](ReplyLimit, ReplySpan),
	}
}

// Join reports whether to look at a Join that came from the source, and counts it.
func (l *Limiter) Join(now time.Time, source identity.NodeID) bool {
	if !l.joins.room(now, source) {
		return false
	}
	l.joins.take(now, source)
	return true
}

// Discovery reports whether to look at a Discovery of the author that a peer sent, whose
// connection has that source, and counts it. All limits are on what is looked at, so that a bad
// Discovery does not cost more than a good one. Keys cost nothing, so the peers of one source share
// its part, and all exempt ones theirs (spec: V 39).
func (l *Limiter) Discovery(now time.Time, from share.Source, peer identity.NodeID, author identity.PublicKey) bool {
	all, by := struct{}{}, sender{from: from}
	if _, ok := from.Prefix(); !ok {
		by.peer = peer
	}
	exempt := from == share.Exempt
	if exempt && !l.exempt.room(now, all) || !l.sources.room(now, by) || !l.replies.room(now, all) || !l.authors.room(now, author) {
		return false
	}
	if exempt {
		l.exempt.take(now, all)
	}
	l.sources.take(now, by)
	l.replies.take(now, all)
	l.authors.take(now, author)
	return true
}
