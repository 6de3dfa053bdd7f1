package dht

import (
	"container/list"
	"time"
)

// maxWindows is how many sources are remembered. Each takes 400 bytes.
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

	unjudged int    // of a [FloodMeter]: messages handed on and not judged yet
	wake     func() // to be called once, when there may be room; may be nil
}

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
		x.turn(second)
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

// woken calls wake once.
func (x *window[K]) woken() {
	if x.wake != nil {
		x.wake()
		x.wake = nil
	}
}
