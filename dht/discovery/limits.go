package discovery

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Limits of what the messages of others make a node do.
const (
	JoinLimit       = 1000           // Joins looked at from one source, in any JoinSpan
	JoinSpan        = time.Minute    //
	ReplyPause      = time.Second    // between two replies to Discoveries of one author
	ReplyLimit      = 120            // replies to Discoveries, in any ReplySpan
	ReplySourcePart = ReplyLimit / 8 // of them, to Discoveries that came from one source
	ReplySpan       = time.Minute    //
)

// Limiter keeps the limits above.
type Limiter struct {
	joins   *rate[identity.NodeID]
	authors *rate[identity.PublicKey]
	sources *rate[identity.NodeID]
	replies *rate[struct{}]
}

// NewLimiter returns a limiter that has counted nothing.
func NewLimiter() *Limiter {
	return &Limiter{
		joins:   newRate[identity.NodeID](JoinLimit, JoinSpan),
		authors: newRate[identity.PublicKey](1, ReplyPause),
		sources: newRate[identity.NodeID](ReplySourcePart, ReplySpan),
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

// Discovery reports whether to look at a Discovery of the author that came from the
// source, and counts it. All limits are on what is looked at, so that a bad Discovery does
// not cost more than a good one.
func (l *Limiter) Discovery(now time.Time, source identity.NodeID, author identity.PublicKey) bool {
	all := struct{}{}
	if !l.sources.room(now, source) || !l.replies.room(now, all) || !l.authors.room(now, author) {
		return false
	}
	l.sources.take(now, source)
	l.replies.take(now, all)
	l.authors.take(now, author)
	return true
}
