package reach

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/share"
)

// Limits of the dial-backs that a node makes for others.
const (
	BackLimit = 6 * time.Second  // of one; a failure takes this long, whatever its cause
	BackPause = 10 * time.Second // between two for one source

	backsAtOnce = 4
	backsIn     = 60 // in a minute
)

// Backs permits dial-backs. The zero Backs is ready. It is not safe for concurrent use.
type Backs struct {
	running int
	last    map[share.Source]time.Time
	times   []time.Time // of the last minute
}

// Begin permits one for a source, or says why not.
func (b *Backs) Begin(now time.Time, source share.Source) Code {
	for len(b.times) > 0 && now.Sub(b.times[0]) >= time.Minute {
		b.times = b.times[1:]
	}
	for s, at := range b.last {
		if now.Sub(at) >= BackPause {
			delete(b.last, s)
		}
	}
	if _, soon := b.last[source]; soon {
		return TooFast
	}
	if b.last == nil {
		b.last = make(map[share.Source]time.Time)
	}
	b.last[source] = now // also of one that finds no place: else who asks all the time has the next one
	if b.running >= backsAtOnce || len(b.times) >= backsIn {
		return TooMany
	}
	b.running++
	b.times = append(b.times, now)
	return OK
}

// End notes the end of one.
func (b *Backs) End() { b.running-- }
