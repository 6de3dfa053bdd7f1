package peerstore

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// MaxAddresses is the greatest number of addresses kept of one peer.
//
// spec: comms 12.2.
const MaxAddresses = 10

// maxSamples is where the sample count of an average stops.
const maxSamples = 100

// Source says where an address comes from. The peer itself has signed the address,
// except with Config.
type Source uint8

const (
	Config         Source = iota // the user or a seed list; kept whatever the peer claims
	NodeIdentity                 // the peer's claim, read from a record
	PeerConnection               // its claim in an identity exchange with us
	Discovery                    // its claim in a discovery
	AnotherPeer                  // its claim, received from another peer
	JoinMessage                  // its claim in a join
)

var sourceNames = [...]string{"config", "node identity", "peer connection", "discovery", "another peer", "join message"}

// String returns the source in words.
func (s Source) String() string {
	if int(s) < len(sourceNames) {
		return sourceNames[s]
	}
	return fmt.Sprintf("source %d", uint8(s))
}

// MarshalText returns the same text as [Source.String].
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Average is a running mean. From maxSamples samples on, each new one has the same
// weight.
type Average struct {
	Mean  time.Duration
	Count int
}

// with returns the average with one more sample.
func (a Average) with(sample time.Duration) Average {
	n := time.Duration(a.Count)
	a.Mean += (max(sample, 0) - a.Mean) / (n + 1) // the sum of all samples could overflow
	a.Count = min(a.Count+1, maxSamples)
	return a
}

// Address is one address of a peer with its statistics. A time is zero when the event
// never happened.
type Address struct {
	Addr          ma.Multiaddr
	Source        Source
	LastSeen      time.Time // a dial of it succeeded
	LastAttempted time.Time // it was dialled
	Attempts      int       // failed dials since the last good one
	LastFailure   string    // why the last dial failed; empty after a good one
	DialTime      Average   // time to open the transport's connection
	Latency       Average   // round trip in the handshake
}

// Score returns how good the address is to dial now, at most 1,000. ok is false when
// nothing is known; then the score is 0.
//
// spec: comms 12.2.
func (a Address) Score(now time.Time) (score int, ok bool) {
	if a.LastSeen.IsZero() && a.LastAttempted.IsZero() {
		return 0, false
	}
	if a.LastFailure != "" {
		return 0, true
	}
	score = 800
	if a.Latency.Count == 0 {
		score += 100
	} else {
		score += max(0, 100-int(min(a.Latency.Mean.Milliseconds()/100, 100)))
	}
	seen := -700
	if !a.LastSeen.IsZero() {
		seconds := max(now.Sub(a.LastSeen), 0) / time.Second // 0 when the clock was set back
		seen = max(-700, 100-int(min(seconds, 800)))
	}
	return score + seen, true
}

// Compare orders the addresses of one peer for a dial at the time now: it is negative when
// a is to be tried before b, and 0 when either may be first. First come addresses that the
// last dial reached, the best score first. Then come those never dialled, and then the
// others, the one dialled longest ago first. So each address has its turn.
//
// spec: comms 12.2; V34.
func (a Address) Compare(b Address, now time.Time) int {
	switch x, y := a.reached(), b.reached(); {
	case x && y:
		s, _ := a.Score(now)
		t, _ := b.Score(now)
		return cmp.Compare(t, s)
	case x:
		return -1
	case y:
		return 1
	}
	return a.LastAttempted.Compare(b.LastAttempted)
}

// reached reports whether the last dial of the address succeeded. One that was cut off
// has not.
func (a Address) reached() bool {
	return a.LastFailure == "" && !a.LastSeen.IsZero() && !a.LastAttempted.After(a.LastSeen)
}

// seen notes a successful dial.
func (a *Address) seen(now time.Time) {
	a.LastSeen, a.LastAttempted = now, now
	a.LastFailure, a.Attempts = "", 0
}

// failed notes a dial that failed.
func (a *Address) failed(now time.Time, reason string) {
	a.LastAttempted, a.LastFailure = now, reason
	a.Attempts = min(a.Attempts+1, maxAttempts)
}

const maxAttempts = 1 << 30

// merge joins two records of one address.
//
// spec: comms 12.2.
func (a *Address) merge(b Address) {
	if b.LastAttempted.After(a.LastAttempted) {
		a.LastFailure = b.LastFailure
	}
	a.LastSeen = later(a.LastSeen, b.LastSeen)
	a.LastAttempted = later(a.LastAttempted, b.LastAttempted)
	a.Attempts = max(a.Attempts, b.Attempts)
	if b.DialTime.Count > a.DialTime.Count {
		a.DialTime = b.DialTime
	}
	if b.Latency.Count > a.Latency.Count {
		a.Latency = b.Latency
	}
}

// rank sorts addresses in the order of [Address.Compare] and otherwise in their old order,
// and cuts the list to MaxAddresses. It removes configured ones last.
func rank(list []Address, now time.Time) []Address {
	slices.SortStableFunc(list, func(a, b Address) int { return a.Compare(b, now) })
	for i := len(list) - 1; i >= 0 && len(list) > MaxAddresses; i-- {
		if list[i].Source != Config {
			list = slices.Delete(list, i, i+1)
		}
	}
	if len(list) > MaxAddresses {
		clear(list[MaxAddresses:])
		list = list[:MaxAddresses]
	}
	return list
}

func find(list []Address, addr ma.Multiaddr) int {
	return slices.IndexFunc(list, func(a Address) bool { return a.Addr.Equal(addr) })
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
