package dht

import (
	"container/heap"
	"time"
)

// wake is when a send or a peer is to be looked at.
type wake struct {
	at    time.Time
	place int // in the list, from 1 on; 0: it is not set
	send  *send
	peer  *outPeer
}

func (w *wake) set() bool { return w.place > 0 }

// wakes are those that are set, the next one first.
type wakes struct{ list wakeHeap }

// put sets one, or sets it to another time.
func (w *wakes) put(x *wake, at time.Time) {
	x.at = at
	if x.set() {
		heap.Fix(&w.list, x.place-1)
	} else {
		heap.Push(&w.list, x)
	}
}

// drop takes one out that is not needed any more.
func (w *wakes) drop(x *wake) {
	if x.set() {
		heap.Remove(&w.list, x.place-1)
	}
}

// next returns when the next one is due, the zero time when there is none.
func (w *wakes) next() time.Time {
	if len(w.list) == 0 {
		return time.Time{}
	}
	return w.list[0].at
}

// due takes out one that is due, nil if there is none.
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
