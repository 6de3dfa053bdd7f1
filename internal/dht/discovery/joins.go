package discovery

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// JoinCooldown is the least time between two Joins that a node sends by itself (spec: dht
// 10.4).
const JoinCooldown = 10 * time.Minute

var (
	// ErrJoinedRecently reports that no Join is sent because the last one is recent.
	ErrJoinedRecently = errors.New("dht: joined a short time ago")
	// ErrUnreachable reports that no Join is sent because all addresses of this node are
	// among those that it never dials, so the network could not use them either.
	ErrUnreachable = errors.New("dht: every address of this node is excluded from dialling")
)

// Joins decides when a node announces itself by a Join.
type Joins struct {
	cooldown  time.Duration
	last      time.Time // of the last Join; zero if there was none
	automatic uint64
	manual    uint64
}

// NewJoins returns Joins of a node that has sent none. A cooldown of 0 is [JoinCooldown].
func NewJoins(cooldown time.Duration) *Joins {
	if cooldown <= 0 {
		cooldown = JoinCooldown
	}
	return &Joins{cooldown: cooldown}
}

// Automatic reports whether to send a Join now that the node is online, and counts it. The
// error is [ErrJoinedRecently] or [ErrUnreachable].
func (j *Joins) Automatic(now time.Time, own identity.Claim, excluded []protocol.AddressRange) error {
	if wait := j.Next().Sub(now); !j.last.IsZero() && wait > 0 {
		return fmt.Errorf("%w: the next one is due in %s", ErrJoinedRecently, wait.Round(time.Second))
	}
	return j.begin(now, own, excluded, &j.automatic)
}

// Manual reports whether to send a Join that the user asks for, and counts it. The error
// is [ErrUnreachable].
func (j *Joins) Manual(now time.Time, own identity.Claim, excluded []protocol.AddressRange) error {
	return j.begin(now, own, excluded, &j.manual)
}

func (j *Joins) begin(now time.Time, own identity.Claim, excluded []protocol.AddressRange, count *uint64) error {
	if unreachable(own, excluded) {
		return ErrUnreachable
	}
	j.last = now
	*count++
	return nil
}

// unreachable reports whether the claim has no address outside the ranges.
func unreachable(own identity.Claim, excluded []protocol.AddressRange) bool {
	for _, a := range address.Select(own.Addresses, true) {
		if !address.Excluded(excluded, a) {
			return false
		}
	}
	return true
}

// Failed says that the last Join went to nobody: the next one need not wait.
func (j *Joins) Failed() { j.last = time.Time{} }

// Last returns when the last Join was sent, zero if there was none.
func (j *Joins) Last() time.Time { return j.last }

// Next returns the earliest time of the next automatic Join, zero if it need not wait.
func (j *Joins) Next() time.Time {
	if j.last.IsZero() {
		return time.Time{}
	}
	return j.last.Add(j.cooldown)
}

// Sent returns how many Joins were sent automatically and at the user's request.
func (j *Joins) Sent() (automatic, manual uint64) { return j.automatic, j.manual }
