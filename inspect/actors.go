package inspect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// now reads the registry and adds the rates, which need two readings.
func (h *handler) now() *snapshot {
	var actors []Actor
	if h.Source != nil {
		actors = h.Source.Actors()
	}
	h.rates.fill(time.Now(), actors)
	return newSnapshot(actors)
}

// page is the answer of every list. Note says what the handler changed in the request, if
// anything.
type page[T any] struct {
	Items  []T    `json:"items"`
	Total  int    `json:"total"`
	Limit  int    `json:"limit"`
	Offset int    `json:"offset"`
	Note   string `json:"note,omitempty"`
}

// window reads limit and offset.
func (q *query) window() (limit, offset int, note string) {
	limit, offset = q.number("limit", DefaultLimit, 1), q.number("offset", 0, 0)
	if limit > MaxLimit {
		note = fmt.Sprintf("limit %d was clamped to %d; ask for the rest with offset", limit, MaxLimit)
		limit = MaxLimit
	}
	return limit, offset, note
}

// cut returns one page of a sorted list.
func cut[T any](all []T, limit, offset int, note string) page[T] {
	p := page[T]{Total: len(all), Limit: limit, Offset: offset, Note: note}
	all = all[min(offset, len(all)):]
	p.Items = append(make([]T, 0, min(limit, len(all))), all[:min(limit, len(all))]...)
	return p
}

func (h *handler) actors(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	f := filter{prefix: q.text("prefix"), kind: q.text("kind"), state: State(q.choice("state", "", stateNames()...))}
	sort := q.choice("sort", "", sortNames...)
	limit, offset, note := q.window()
	items, total := h.now().list(f, sort, offset, limit)
	return page[Actor]{items, total, limit, offset, note}, nil
}

func stateNames() []string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return names
}

func (h *handler) actor(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	s, path := h.now(), r.PathValue("path")
	if i, ok := s.find(path); ok {
		a := s.actors[i]
		a.Watches = s.watchedBy(a.ID)
		h.ask(r.Context(), &a)
		return a, nil
	}
	if below, ok := strings.CutSuffix(path, "/stacks"); ok {
		if i, ok := s.find(below); ok {
			return stacksOf(&s.actors[i]), nil
		}
		path = below
	}
	return nil, noActor(path)
}

// watchedBy returns the actors that the one with an id watches.
func (s *snapshot) watchedBy(id string) (all []string) {
	for i := range s.actors {
		if _, ok := slices.BinarySearch(s.actors[i].WatchedBy, id); ok {
			all = append(all, s.actors[i].ID)
		}
	}
	return all
}

// FindActor returns the actor at path, or the only one whose path ends with it.
func FindActor(src Source, path string) (Actor, bool) {
	s := newSnapshot(src.Actors())
	i, ok := s.find(path)
	if !ok {
		return Actor{}, false
	}
	return s.actors[i], true
}

func noActor(path string) error {
	return notFound(fmt.Sprintf("there is no actor %q", Escape(path)), HintActors)
}
