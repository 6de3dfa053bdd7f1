package dht

import (
	"container/list"
	"time"
)

// maxWindows is how many sources are remembered at a time. Each is worth 400 bytes.
const maxWindows = 4096

// windows remembers what each source has sent in the last 60 s. A source that has
// sent nothing for so long is forgotten, and when there are too many the one that
// was heard of longest ago. The zero value is ready to use.
type windows[K comparable] struct {
	of    map[K]*list.Element
	order list.List // of *window[K], those heard of last in front
	begin time.Time
}

// window is what one source has sent.
type window[K comparable] struct {
	source    K
	perSecond // in seconds since windows.begin

	unjudged int    // messages of a [FloodMeter] that were handed on and have not ended
	wake     func() // asked for, to be called once there may be room; may be nil
}

// at is the window of a source that ends now.
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
		x.turn(second)
	}
	return x
}

// find is the window of a source as it was left; nil if there is none.
func (w *windows[K]) find(source K) *window[K] {
	if e, ok := w.of[source]; ok {
		return e.Value.(*window[K])
	}
	return nil
}

// forget drops who has been silent for 60 s, and makes room for one more.
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

// woken calls what was asked to be called.
func (x *window[K]) woken() {
	if x.wake != nil {
		x.wake()
		x.wake = nil
	}
}
