// Package queue is a priority queue: a heap whose members know their places, so that any of
// them can be moved or taken out.
package queue

import "container/heap"

// Queue holds members in an order. Get one from [New]. A member is in it once at most.
type Queue[T any] struct{ members members[T] }

// New returns an empty queue. before reports whether a comes before b. place returns where a
// member keeps its place, which belongs to the queue as long as the member is in it.
func New[T any](before func(a, b T) bool, place func(T) *int) Queue[T] {
	return Queue[T]{members[T]{before: before, place: place}}
}

// Len returns how many members there are.
func (q *Queue[T]) Len() int { return len(q.members.list) }

// First returns the member that comes first, the zero value if there is none.
func (q *Queue[T]) First() (first T) {
	if q.Len() > 0 {
		first = q.members.list[0]
	}
	return first
}

// All returns the members in no particular order. The caller must not change the slice, which
// is valid until the next change of the queue.
func (q *Queue[T]) All() []T { return q.members.list }

// Add adds a member.
func (q *Queue[T]) Add(x T) { heap.Push(&q.members, x) }

// Remove takes a member out.
func (q *Queue[T]) Remove(x T) { heap.Remove(&q.members, *q.members.place(x)) }

// Moved puts a member in its new place after its order has changed.
func (q *Queue[T]) Moved(x T) { heap.Fix(&q.members, *q.members.place(x)) }

// members implement [heap.Interface].
type members[T any] struct {
	list   []T
	before func(a, b T) bool
	place  func(T) *int
}

func (m *members[T]) Len() int           { return len(m.list) }
func (m *members[T]) Less(i, j int) bool { return m.before(m.list[i], m.list[j]) }

func (m *members[T]) Swap(i, j int) {
	m.list[i], m.list[j] = m.list[j], m.list[i]
	*m.place(m.list[i]), *m.place(m.list[j]) = i, j
}

func (m *members[T]) Push(x any) {
	*m.place(x.(T)) = len(m.list)
	m.list = append(m.list, x.(T))
}

func (m *members[T]) Pop() any {
	last := len(m.list) - 1
	x := m.list[last]
	var none T
	m.list[last] = none
	m.list = m.list[:last]
	return x
}
