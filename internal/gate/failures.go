package gate

import (
	"net/netip"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// Limits of wrong tokens, links and cookies.
const (
	// FailureBurst is how many a source has answered at once with what was wrong.
	FailureBurst = 20
	// FailureEvery is the time after which it has one more.
	FailureEvery = 3 * time.Second
	// MaxSources is how many sources are remembered; beyond it, the one that has been quiet for longest is forgotten.
	MaxSources = 1024
)

// failures limits failures by source. A right token passes always: sources are shared, on loopback by all
// users of the machine, and nobody guesses 256 bits. The zero value is ready to use.
type failures struct {
	full lru.Map[netip.Prefix, time.Time] // when the source has its burst again
}

// count counts a failure of a source. It returns how long the source is to wait, if it had too many.
func (f *failures) count(now time.Time, source netip.Prefix) (wait time.Duration) {
	f.full.Most = MaxSources
	full := f.full.Use(source)
	if full.Before(now) {
		*full = now
	}
	next := full.Add(FailureEvery)
	if wait = next.Sub(now) - FailureBurst*FailureEvery; wait > 0 {
		return wait
	}
	*full = next
	return 0
}
