package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Limits of the memory of dials, and the consequences of failures.
//
// spec: V 30
const (
	healthWindow   = 5 * time.Minute // older attempts do not count
	healthAttempts = 100             // the last attempts of one peer that count
	healthPeers    = 4096            // peers that are remembered

	// The prior: without any attempt a peer counts as if one of four had
	// succeeded.
	priorGood, priorAll = 1, 4

	// BreakAfter failures in a row stop automatic dials for BreakFor; after that one
	// trial is allowed.
	BreakAfter = 3
	BreakFor   = 2 * time.Minute

	failurePenalty = 0.1 // of the score, for each failure in a row
)

// Health remembers how dials have ended: success rates, and a circuit breaker for each
// peer. The breaker is for automatic dials only; a peer that the user or a protocol needs is
// dialled in any case. The zero value is ready. A Health is not safe for concurrent use.
type Health struct {
	peers map[identity.NodeID]*dialled
	order []identity.NodeID // in the order of first dials; the first is forgotten first
	all   attempts          // attempts of all peers
}

type dialled struct {
	attempts
	failures int       // in a row
	until    time.Time // the breaker is open; zero: closed
	trial    time.Time // one trial is under way since
}

// attempts are the last ends of dials, oldest first.
type attempts []attempt

type attempt struct {
	at time.Time
	ok bool
}

func (a attempts) with(now time.Time, ok bool) attempts {
	a = append(a.since(now), attempt{now, ok})
	if len(a) > healthAttempts {
		a = append(a[:0], a[len(a)-healthAttempts:]...)
	}
	return a
}

// since drops what is too old.
func (a attempts) since(now time.Time) attempts {
	old := 0
	for old < len(a) && now.Sub(a[old].at) >= healthWindow {
		old++
	}
	return append(a[:0], a[old:]...)
}

func (a attempts) rate(now time.Time) float64 {
	good, n := priorGood, priorAll
	for _, x := range a {
		if now.Sub(x.at) < healthWindow {
			n++
			if x.ok {
				good++
			}
		}
	}
	return float64(good) / float64(n)
}

// Succeeded notes a dial that led to a connection.
func (h *Health) Succeeded(now time.Time, peer identity.NodeID) {
	h.all = h.all.with(now, true)
	d := h.of(peer)
	d.attempts = d.attempts.with(now, true)
	d.failures, d.until, d.trial = 0, time.Time{}, time.Time{}
}

// Failed notes a dial without a connection. Do not report a failure while the node itself is
// offline: it says nothing about the peer (spec: comms 127).
func (h *Health) Failed(now time.Time, peer identity.NodeID) {
	h.all = h.all.with(now, false)
	d := h.of(peer)
	d.attempts = d.attempts.with(now, false)
	d.failures++
	d.trial = time.Time{}
	if d.failures >= BreakAfter {
		d.until = now.Add(BreakFor)
	}
}

// Admit reports whether an automatic dial may begin now. When a breaker's time is over it
// admits one trial; the next comes after the end of that one, or after BreakFor if its end
// is not reported.
func (h *Health) Admit(now time.Time, peer identity.NodeID) bool {
	d := h.peers[peer]
	if d == nil || d.until.IsZero() {
		return true
	}
	if now.Before(d.until) || !d.trial.IsZero() && now.Before(d.trial.Add(BreakFor)) {
		return false
	}
	d.trial = now
	return true
}

// Abandoned reports that an admitted dial was cancelled.
func (h *Health) Abandoned(peer identity.NodeID) {
	if d := h.peers[peer]; d != nil {
		d.trial = time.Time{}
	}
}

// Rate returns the share of successes among the last dials of all peers within five
// minutes, with the prior.
func (h *Health) Rate(now time.Time) float64 { return h.all.rate(now) }

// Peer returns the statistics of a peer's dials.
func (h *Health) Peer(now time.Time, peer identity.NodeID) protocol.DialHealth {
	d := h.peers[peer]
	if d == nil {
		rate := attempts(nil).rate(now)
		return protocol.DialHealth{Rate: rate, Score: rate}
	}
	r := protocol.DialHealth{Rate: d.rate(now), Failures: d.failures}
	r.Score = r.Rate - failurePenalty*float64(d.failures)
	if now.Before(d.until) {
		r.Open = d.until
	} else if again := d.trial.Add(BreakFor); !d.trial.IsZero() && now.Before(again) {
		r.Open, r.Trial = again, true
	}
	return r
}

// Len returns how many peers are remembered, at most 4,096.
func (h *Health) Len() int { return len(h.peers) }

func (h *Health) of(peer identity.NodeID) *dialled {
	if d := h.peers[peer]; d != nil {
		return d
	}
	if h.peers == nil {
		h.peers = make(map[identity.NodeID]*dialled)
	}
	if len(h.order) >= healthPeers {
		delete(h.peers, h.order[0])
		h.order = h.order[1:]
	}
	d := new(dialled)
	h.peers[peer] = d
	h.order = append(h.order, peer)
	return d
}
