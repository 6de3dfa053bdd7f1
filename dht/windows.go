package dht

import (
	"container/list"
	"time"
)

// maxWindows is how many sources are remembered. Each takes 450 bytes, and 1 KiB more
// while many of its messages are not judged.
const maxWindows = 4096

// windows counts what each source has sent in the last 60 s. It forgets a source that
// has sent nothing for 60 s and, beyond maxWindows, the source that has been silent for
// longest. The zero value is ready to use.
type windows[K comparable] struct {
	of    map[K]*list.Element
	order list.List // of *window[K], the source that sent last in front
	begin time.Time
}

// window counts what one source has sent.
type window[K comparable] struct {
	source    K
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
func (w *windows[K]) at(now time.Time, source K) *window[K] {
	if w.of == nil {
		w.of, w.begin = make(map[K]*list.Element), now
	}
	second := int64(now.Sub(w.begin) / time.Second)
	e, ok := w.of[source]
	if !ok {
		w.forget(second)
		e = w.order.PushFront(&window[K]{source: source, perSecond: perSecond{last: second}})
		w.of[source] = e
	}
	x := e.Value.(*window[K])
	if second > x.last {
		w.order.MoveToFront(e)
		x.advance(second)
	}
	return x
}

// find returns the window of a source as at left it, nil if there is none.
func (w *windows[K]) find(source K) *window[K] {
	if e, ok := w.of[source]; ok {
		return e.Value.(*window[K])
	}
	return nil
}

// forget drops the sources that have been silent for 60 s, and makes room for one more.
func (w *windows[K]) forget(second int64) {
	for e := w.order.Back(); e != nil; e = w.order.Back() {
		x := e.Value.(*window[K])
		if len(w.of) < maxWindows && second-x.last < floodSeconds {
			return
		}
		w.order.Remove(e)
		delete(w.of, x.source)
		x.woken()
	}
}

// handOn notes that n messages were handed on in the newest second.
func (x *window[K]) handOn(n int) {
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
func (x *window[K]) judged() {
	x.unjudged--
	if x.handed[0].n--; x.handed[0].n == 0 {
		x.handed = x.handed[1:]
	}
}

// count counts the oldest message handed on in the second in which it was handed on, or
// now if there is none. It reports whether that second is one of the last 60.
func (x *window[K]) count() bool {
	second := x.last
	if len(x.handed) > 0 {
		second = x.handed[0].second
	}
	return x.addIn(second, 1)
}

// await has woken call wake. When too many wait, it calls the oldest, whose reader may
// have asked again since.
func (x *window[K]) await(wake func()) {
	if len(x.wakes) >= maxWakes {
		x.wakes[0]()
		x.wakes = x.wakes[1:]
	}
	x.wakes = append(x.wakes, wake)
}

// woken calls all of wakes once.
func (x *window[K]) woken() {
	for _, wake := range x.wakes {
		wake()
	}
	x.wakes = nil
}
