package messaging

import "time"

// Options are the limits and times of an [Outbox] and an [Outgoing]. A field that is not positive takes
// its default, named after the semicolon.
type Options struct {
	MaxBody     int           // largest body, bytes; 8 MiB
	Attempts    int           // dials and opens that may fail in a row; 2 (comms 86)
	Backoff     time.Duration // wait after the loss of a fresh substream, doubling; 200 ms (V14)
	BackoffMax  time.Duration // 5 s
	Resets      int           // opens in a row that the peer may reset on a living connection; 6
	Redial      time.Duration // wait after a connection that ended before a substream was open, doubling up to BackoffMax; 20 ms
	Losses      int           // such connections in a row until everything queued fails; 8, after some 5 s
	FreshProof  time.Duration // no proof within this time of opening, if the acceptance is Assumed; 100 ms (comms 147)
	BatchBytes  int           // bytes of bodies given to one write, unless one alone is larger; 128 KiB
	BatchFrames int           // frames given to one write; 1,024
	Trim        time.Duration // how often memory of past bursts is freed; 1 s

	// ProofDelay is how long an [Outgoing] waits after a request for a proof before the next
	// one, if nobody waits for these outcomes; 250 µs. One ping proves them all. The first
	// message after a pause does not wait: a timer of an idle process may come a millisecond
	// late.
	ProofDelay time.Duration
	// LoneDelay is ProofDelay for messages that a writer has pulled one at a time, such as
	// requests and answers, as nobody waits for their credit; 1 ms.
	LoneDelay time.Duration
	// NewID numbers the dials and opens of an [Outgoing]; nil: they are counted.
	NewID func() uint64
}

// The defaults of the limits of one write, and of Options.ProofDelay.
const (
	BatchBytes  = 128 << 10
	BatchFrames = 1024
	ProofDelay  = 250 * time.Microsecond
)

func (o Options) withDefaults() Options {
	setDefault(&o.MaxBody, 8<<20)
	setDefault(&o.Attempts, 2)
	setDefault(&o.Backoff, 200*time.Millisecond)
	setDefault(&o.BackoffMax, 5*time.Second)
	setDefault(&o.Resets, 6)
	setDefault(&o.Redial, 20*time.Millisecond)
	setDefault(&o.Losses, 8)
	setDefault(&o.FreshProof, 100*time.Millisecond)
	setDefault(&o.BatchBytes, BatchBytes)
	setDefault(&o.BatchFrames, BatchFrames)
	setDefault(&o.Trim, time.Second)
	setDefault(&o.ProofDelay, ProofDelay)
	setDefault(&o.LoneDelay, time.Millisecond)
	return o
}

func setDefault[V int | time.Duration](v *V, d V) {
	if *v <= 0 {
		*v = d
	}
}

// doubled returns d doubled n times, at most limit.
func doubled(d time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}
