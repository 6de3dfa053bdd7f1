package reach

import (
	"net/netip"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

const (
	// DuplicateFor is how long another node with this node's identity is told after the last word of
	// it, and how long peers remember its claim.
	DuplicateFor = 10 * time.Minute
	// duplicateStart is how long after the start of this node a connection of another one may still
	// be one that the program before it has made.
	duplicateStart = 15 * time.Second
	// duplicateWords is how many networks must have seen the other node, if its claim is older than this node.
	duplicateWords = 2

	maxWords = 64
)

// Duplicate finds out whether another node uses the identity of this one: peers show claims of its
// key that this node has not signed. A claim that was signed since this node has started is proof.
// An older one may be of the node's last run, and peers may lie about when they saw it: then two
// networks must have, or one peer that the user has named. It is not safe for concurrent use.
type Duplicate struct {
	began time.Time                  // of the node's clock
	wall  time.Time                  // the same on the system's
	words map[netip.Prefix]time.Time // who has seen an older claim, and when it said so
	at    time.Time                  // of the last proof
	claim identity.Claim
}

// NewDuplicate returns a Duplicate. now and wall are the times of the node's start.
func NewDuplicate(now, wall time.Time) *Duplicate {
	return &Duplicate{began: now, wall: wall, words: make(map[netip.Prefix]time.Time)}
}

// Heard notes a claim of this node's key that a peer shows, and that this node has not signed. Its
// signature was checked. It reports whether another node uses the identity.
func (d *Duplicate) Heard(now time.Time, from Observer, o *Other) bool {
	seen := now.Add(-o.Age)
	if o.Age > DuplicateFor || seen.Before(d.began.Add(duplicateStart)) {
		return false
	}
	if !from.Trusted && o.Claim.Signature.UpdatedAt <= d.wall.Unix() {
		for network, at := range d.words {
			if now.Sub(at) > DuplicateFor {
				delete(d.words, network)
			}
		}
		if _, ok := d.words[from.Network]; !ok && len(d.words) >= maxWords {
			return false
		}
		d.words[from.Network] = now
		if len(d.words) < duplicateWords {
			return false
		}
	}
	d.at, d.claim = now, o.Claim
	return true
}

// Present returns the claim of the other node; ok is false if there is none, or was for long.
func (d *Duplicate) Present(now time.Time) (claim identity.Claim, at time.Time, ok bool) {
	if d.at.IsZero() || now.Sub(d.at) > DuplicateFor {
		return claim, at, false
	}
	return d.claim, d.at, true
}
