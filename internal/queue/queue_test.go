package queue_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/queue"
)

type member struct{ order, place int }

// TestQueue adds, moves and removes random members. The first one is always the least of
// those that are there.
func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q := queue.New(func(a, b *member) bool { return a.order < b.order }, func(m *member) *int { return &m.place })
	if q.First() != nil || q.Len() != 0 {
		t.Error("got a member of an empty queue")
	}
	in := map[*member]bool{}
	for range 5000 {
		var any *member
		for any = range in {
			break
		}
		switch n := r.IntN(5); {
		case n < 2 || any == nil:
			m := &member{order: r.IntN(1000)}
			in[m] = true
			q.Add(m)
		case n == 2:
			any.order = r.IntN(1000)
			q.Moved(any)
		default:
			delete(in, any)
			q.Remove(any)
		}
		if q.Len() != len(in) || len(q.All()) != len(in) {
			t.Fatalf("got %d members, want %d", q.Len(), len(in))
		}
		for m := range in {
			if q.First().order > m.order {
				t.Fatalf("got %d first, want %d", q.First().order, m.order)
			}
			if q.All()[m.place] != m {
				t.Fatal("got a member that does not know its place")
			}
		}
	}
}
