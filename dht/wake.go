package dht

import (
	"container/heap"
	"time"
)

// wake is a timer of a send or of a peer; one with neither is the sweep's.
type wake struct {
	at    time.Time
	place int // index in the heap, plus one; 0: not set
	send  *send
	peer  *outPeer
}

func (w *wake) set() bool { return w.place > 0 }

// wakes is a priority queue of the timers that are set.
type wakes struct{ list wakeHeap }

// put sets the timer, or sets it to another time.
func (w *wakes) put(x *wake, at time.Time) {
	x.at = at
	if x.set() {
		heap.Fix(&w.list, x.place-1)
	} else {
		heap.Push(&w.list, x)
	}
}

// drop stops the timer.
func (w *wakes) drop(x *wake) {
	if x.set() {
		heap.Remove(&w.list, x.place-1)
	}
}

// next returns when the next timer is due, the zero time if none is set.
func (w *wakes) next() time.Time {
	if len(w.list) == 0 {
		return time.Time{}
	}
	return w.list[0].at
}

// due stops a timer that is due and returns it, nil if there is none.
func (w *wakes) due(now time.Time) *wake {
	if len(w.list) == 0 || w.list[0].at.After(now) {
		return nil
	}
	return heap.Pop(&w.list).(*wake)
}

type wakeHeap []*wake

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h *wakeHeap) Push(x any) {
	*h = append(*h, x.(*wake))
	x.(*wake).place = len(*h)
}

func (h *wakeHeap) Pop() any {
	list := *h
	x := list[len(list)-1]
	list[len(list)-1] = nil
	*h = list[:len(list)-1]
	x.place = 0
	return x
}
