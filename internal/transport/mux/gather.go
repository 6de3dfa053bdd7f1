package mux

import "sync/atomic"

// gather decides whether a write of a substream lets other goroutines run before it writes
// the outbox out, so that their frames go with it: one write to the connection, and one
// frame of Noise, instead of many. It pays when several substreams write at the same time,
// such as the answers to calls that came together. Whoever writes alone, or in turn with
// others, must not wait: a yield that gathered nothing counts as a miss, and after a few the
// next writes go out at once.
type gather struct {
	last   atomic.Uint32 // substream of the last write
	misses atomic.Int32  // in a row; below 0: how many writes of other substreams do not yield
}

const (
	maxMisses = 4
	skipped   = 32
)

// yields reports whether the write of a substream shall yield.
func (g *gather) yields(id uint32) bool {
	if g.last.Swap(id) == id {
		return false
	}
	skips := g.misses.Load() < 0
	if skips {
		g.misses.Add(1)
	}
	return !skips
}

// yielded notes how many frames the outbox held after a yield: none if another write took
// this one's along.
func (g *gather) yielded(frames int) {
	switch {
	case frames != 1:
		g.misses.Store(0)
	case g.misses.Add(1) >= maxMisses:
		g.misses.Store(-skipped)
	}
}
