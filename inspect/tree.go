package inspect

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"
)

// ErrNoActor reports a path that fits no actor, or more than one.
var ErrNoActor = errors.New("inspect: no such actor")

// Tree is an actor tree at one moment, and the answer of /v1/tree in JSON.
type Tree struct {
	At       time.Time `json:"at"`
	Actors   int       `json:"actors"` // in the whole tree
	Branches []Branch  `json:"branches"`
}

// All iterates over the actors of the tree, a parent before its children.
func (t Tree) All() iter.Seq[Actor] {
	return func(yield func(Actor) bool) {
		for i := range t.Branches {
			if !t.Branches[i].all(yield) {
				return
			}
		}
	}
}

func (b *Branch) all(yield func(Actor) bool) (goOn bool) {
	if !yield(b.Actor) {
		return false
	}
	for i := range b.Children {
		if !b.Children[i].all(yield) {
			return false
		}
	}
	return true
}

// Look returns a tree, or the part of it below the actor at path, depth levels deep; a
// negative depth is no limit. It asks every actor in it for its line. The error is
// [ErrNoActor].
func Look(ctx context.Context, src Source, path string, depth int) (Tree, error) {
	h := &handler{Options: Options{Source: src}}
	return h.look(ctx, path, depth)
}

func (h *handler) look(ctx context.Context, path string, depth int) (Tree, error) {
	s := h.now()
	t := Tree{At: time.Now(), Actors: len(s.actors)}
	if path == "" {
		t.Branches = s.roots(depth)
	} else if i, ok := s.find(path); ok {
		t.Branches = []Branch{s.branch(i, depth)}
	} else {
		return t, ErrNoActor
	}
	h.askLines(ctx, t.Branches)
	return t, nil
}

func (h *handler) tree(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	path, depth := q.text("path"), q.number("depth", -1, 0)
	format := q.choice("format", "json", "json", "text", "dot")
	if q.err != nil {
		return nil, q.err
	}
	t, err := h.look(r.Context(), path, depth)
	if err != nil {
		return nil, noActor(path)
	}
	switch format {
	case "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = Text(w, t, TextOptions{}) // an error means that the client has gone
	case "dot":
		w.Header().Set("Content-Type", "text/vnd.graphviz; charset=utf-8")
		_ = Dot(w, t)
	default:
		return t, nil
	}
	return done, nil
}
