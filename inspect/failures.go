package inspect

import (
	"net/http"
	"slices"
)

// A Source may keep the failures and dead letters of the past, newest first.
// Without them, /v1/failures shows the last failure of each living actor.
type (
	// FailureSource keeps failures.
	FailureSource interface{ Failures() []Failure }
	// DeadLetterSource keeps dead letters.
	DeadLetterSource interface{ DeadLetters() []DeadLetter }
)

func (h *handler) failures(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	limit, offset, note := q.window()
	all := lastFailures(h.now().actors)
	if s, ok := h.Source.(FailureSource); ok {
		all = s.Failures()
	}
	return cut(all, limit, offset, note), nil
}

func lastFailures(actors []Actor) []Failure {
	var all []Failure
	for i := range actors {
		a := &actors[i]
		if f := a.LastFailure; f != nil {
			x := Failure{At: f.At, Actor: a.ID, Incarnation: a.Incarnation, MessageType: f.MessageType, Reason: f.Reason, Where: f.Where, StackID: f.StackID}
			if a.Labels != nil {
				x.Peer = a.Labels.Peer
			}
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return b.At.Compare(a.At) })
	return all
}

func (h *handler) deadLetters(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	limit, offset, note := q.window()
	s, ok := h.Source.(DeadLetterSource)
	if !ok {
		return nil, notFound("this node keeps no dead letters", "see /v1/actors for messages that wait in mailboxes")
	}
	return cut(s.DeadLetters(), limit, offset, note), nil
}
