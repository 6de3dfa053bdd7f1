package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// maxWindows is how many sources are remembered. Each takes 450 bytes, and 1 KiB more
// while many of its messages are not judged.
const maxWindows = 4096

// windows counts what each source has sent in the last 60 s. It forgets a source that
// has sent nothing for 60 s and, beyond maxWindows, the source that has been silent for
// longest. The zero value is ready to use.
type windows[K comparable] struct {
	of    lru.Map[K, window] // by source, that which sent last is the newest
	begin time.Time
}

// window counts what one source has sent.
type window struct {
	perSecond // in seconds since windows.begin

	// Of a [FloodMeter]: messages handed on and not judged yet, by the second in which
	// they were handed on, oldest first, and what to call once when there may be room.
	unjudged int
	handed   []handed
	wakes    []func()
}

// handed is how many messages were handed on in a second.
type handed struct {
	second int64
	n      int
}

// maxWakes bounds window.wakes. A peer has fewer readers, each of which may ask again.
const maxWakes = 128

// at returns the window of a source, moved on to now.
func (w *windows[K]) at(now time.Time, source K) *window {
	if w.of.Most == 0 {
		w.of.Most, w.begin = maxWindows, now
	}
	second := int64(now.Sub(w.begin) / time.Second)
	x := w.of.Get(source)
	switch {
	case x == nil:
		w.forget(second)
		x = w.of.Use(source)
		x.last = second
	case second > x.last:
		w.of.Use(source).advance(second)
	}
	return x
}

// find returns the window of a source as at left it, nil if there is none.
func (w *windows[K]) find(source K) *window { return w.of.Get(source) }

// forget drops the sources that have been silent for 60 s, and makes room for one more.
func (w *windows[K]) forget(second int64) {
	for {
		source, x, ok := w.of.Oldest()
		if !ok || w.of.Len() < maxWindows && second-x.last < floodSeconds {
			return
		}
		w.of.Delete(source)
		x.woken()
	}
}

// handOn notes that n messages were handed on in the newest second.
func (x *window) handOn(n int) {
	if n == 0 {
		return
	}
	x.unjudged += n
	end := len(x.handed) - 1
	if end >= 0 && x.handed[end].second == x.last {
		x.handed[end].n += n
		return
	}
	if end > 0 && x.last-x.handed[1].second >= floodSeconds { // neither of the two counts any more
		x.handed[1].n += x.handed[0].n
		x.handed = x.handed[1:]
	}
	x.handed = append(x.handed, handed{x.last, n})
}

// judged notes that the oldest message handed on was judged.
func (x *window) judged() {
	x.unjudged--
	if x.handed[0].n--; x.handed[0].n == 0 {
		x.handed = x.handed[1:]
	}
}

// count counts the oldest message handed on in the second in which it was handed on, or
// now if there is none. It reports whether that second is one of the last 60.
func (x *window) count() bool {
	second := x.last
	if len(x.handed) > 0 {
		second = x.handed[0].second
	}
	return x.addIn(second, 1)
}

// await has woken call wake. When too many wait, it calls the oldest, whose reader may
// have asked again since.
func (x *window) await(wake func()) {
	if len(x.wakes) >= maxWakes {
		x.wakes[0]()
		x.wakes = x.wakes[1:]
	}
	x.wakes = append(x.wakes, wake)
}

// woken calls all of wakes once.
func (x *window) woken() {
	for _, wake := range x.wakes {
		wake()
	}
	x.wakes = nil
}
