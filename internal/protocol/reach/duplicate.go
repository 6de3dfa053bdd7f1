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
	// duplicateWords is how many sources must have seen the other node, if its claim may be older than this node.
	duplicateWords = 2
	// duplicateAhead is how far ahead of this machine's clock the claim of a node may be dated that has just signed it.
	duplicateAhead = time.Minute

	maxWords = 64
)

// Proof is how sure it is that another node uses the identity of this one.
type Proof int

// The proofs.
const (
	NoProof Proof = iota
	Hinted        // peers that this node has dialled say so, and may lie
	Proven        // the claim was signed since this node has started, or a peer says so that the user has named
)

// Duplicate finds out whether another node uses the identity of this one: peers show claims of its
// key that this node has not signed. A claim that was signed since this node has started is proof.
// An older one may be of the node's last run, and peers may lie about when they saw it. Then the word of
// a peer counts that the user has named, and two sources of peers that this node has dialled are a hint; sources
// of IPv4 and of IPv6 may be one machine, and do not add up. It is not safe for concurrent use.
type Duplicate struct {
	began   time.Time                  // of the node's clock
	wall    time.Time                  // the same on the system's, as it was set then
	private bool                       // see [SourceOf]
	words   map[netip.Prefix]time.Time // who has seen an older claim, and when it said so
	at      [Proven + 1]time.Time      // of the last hint, and of the last proof
	claim   [Proven + 1]identity.Claim
}

// NewDuplicate returns a Duplicate. now and wall are the times of the node's start.
func NewDuplicate(now, wall time.Time, private bool) *Duplicate {
	return &Duplicate{began: now, wall: wall, private: private, words: make(map[netip.Prefix]time.Time)}
}

// Heard notes a claim of this node's key that a peer at an address shows, and that this node has not signed. Its
// signature was checked. wall is the present time of the system's clock. Heard returns what the claim says.
func (d *Duplicate) Heard(now, wall time.Time, from Observer, at netip.Addr, o *Other) Proof {
	seen := now.Add(-o.Age)
	if o.Age > DuplicateFor || seen.Before(d.began.Add(duplicateStart)) {
		return NoProof
	}
	p := Proven
	if !from.Trusted && !d.since(now, wall, o.Claim.Signature.UpdatedAt) {
		if p = Hinted; !from.Dialled || !d.hinted(now, SourceOf(from, at, d.private)) {
			return NoProof
		}
	}
	d.at[p], d.claim[p] = now, o.Claim
	return p
}

// since reports whether a claim of this date was signed since the start of this node. The clock may have been wrong at
// the start, and may be wrong now: a date that lies ahead says nothing.
func (d *Duplicate) since(now, wall time.Time, date int64) bool {
	began := later(d.wall, wall.Add(d.began.Sub(now)))
	return date > began.Unix() && date <= wall.Add(duplicateAhead).Unix()
}

// hinted notes the word of a source, and reports whether enough of its family have said it.
func (d *Duplicate) hinted(now time.Time, source netip.Prefix) bool {
	for s, at := range d.words {
		if now.Sub(at) > DuplicateFor {
			delete(d.words, s)
		}
	}
	if _, ok := d.words[source]; !ok && len(d.words) >= maxWords {
		return false
	}
	d.words[source] = now
	n := 0
	for s := range d.words {
		if s.Addr().Is4() == source.Addr().Is4() {
			n++
		}
	}
	return n >= duplicateWords
}

// Present returns the claim of the other node, and how sure it is; NoProof: there is none, or was for long.
func (d *Duplicate) Present(now time.Time) (claim identity.Claim, at time.Time, p Proof) {
	for p := Proven; p > NoProof; p-- {
		if !d.at[p].IsZero() && now.Sub(d.at[p]) <= DuplicateFor {
			return d.claim[p], d.at[p], p
		}
	}
	return claim, at, NoProof
}
