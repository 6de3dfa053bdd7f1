package supervisor

import (
	"math/rand/v2"
	"testing"
)

func TestFifoIsAQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q fifo
	var model []int
	next := 0
	dst := make([]any, batchSize)
	for step := range 200_000 {
		grow := step/5000%2 == 0 // bursts and lulls
		switch op := rng.IntN(10); {
		case op < 4 || grow && op < 7:
			q.push(next)
			model = append(model, next)
			next++
		case op < 5:
			q.pushFront(next)
			model = append([]int{next}, model...)
			next++
		case op < 8:
			m, ok := q.pop()
			if ok != (len(model) > 0) || ok && m != model[0] {
				t.Fatalf("pop: got %v, %v, want %v", m, ok, model)
			}
			if ok {
				model = model[1:]
			}
		default:
			k := q.popInto(dst[:1+rng.IntN(batchSize)])
			for i := range k {
				if dst[i] != model[i] {
					t.Fatalf("popInto: got %v at %d, want %v", dst[i], i, model[i])
				}
			}
			model = model[k:]
		}
		if int(q.n) != len(model) {
			t.Fatalf("length: got %d, want %d", q.n, len(model))
		}
		held, busy := 0, 0
		for c := q.first; c != nil; c = c.next {
			held++
			for _, m := range c.slots {
				if m != nil {
					busy++
				}
			}
		}
		if busy != len(model) {
			t.Fatalf("got %d messages in the chunks, want %d", busy, len(model))
		}
		if most := (len(model)+chunkLen-2)/chunkLen + 1; held > most {
			t.Fatalf("got %d chunks for %d messages, want at most %d", held, len(model), most)
		}
	}
	for q.n > 0 {
		q.pop()
	}
	if q != (fifo{}) {
		t.Fatalf("empty queue: got %+v, want the zero one", q)
	}
}

// A burst takes its memory from the pool and gives it back.
func TestFifoDoesNotAllocate(t *testing.T) {
	var q fifo
	dst := make([]any, batchSize)
	m := any(&q)
	got := testing.AllocsPerRun(100, func() {
		for range 5000 {
			q.push(m)
		}
		for q.popInto(dst) > 0 {
		}
	})
	// Without the pool it were one for each of the 80 chunks. A garbage
	// collection empties the pool, and under the race detector it loses a
	// quarter of what it is given.
	if got > 40 {
		t.Fatalf("got %v allocations for a burst of 5,000, want less than one for two chunks", got)
	}
}
