package inspect

import (
	"slices"
	"strings"
	"testing"
)

// The tree shows a task of a user's actor that takes longer than a message may,
// and none of the node's own, which always wait.
func TestTextShowsLongTasks(t *testing.T) {
	long := []Task{{"quote-1", 12_000}, {"quote-2", 3}}
	for kind, want := range map[string]string{"protocol": "task quote-1 for 12s and 1 more", "actor": "task quote-1 for 12s and 1 more", "conn": ""} {
		if got := note(&Actor{Kind: kind, Tasks: long}, t0); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
	if got := note(&Actor{Kind: "actor", Tasks: long[1:]}, t0); got != "" {
		t.Errorf("got %q of a task that has just begun, want nothing", got)
	}
}

func TestEndpointsAreListed(t *testing.T) {
	var got []string
	for _, e := range getJSON[page[Endpoint]](t, Handler(Options{Source: testSource()}), "/v1").Items {
		got = append(got, e.Path)
	}
	for _, want := range []string{"/v1/tree", "/v1/actors/{path...}/stacks", "/healthz"} {
		if !slices.Contains(got, want) {
			t.Errorf("got %q, want %s among them", got, want)
		}
	}
}

// The last part of a path is enough where it fits one actor.
func TestFindByName(t *testing.T) {
	s := newSnapshot(testSource().Actors())
	if i, ok := s.find("handler"); !ok || !strings.HasSuffix(s.actors[i].ID, "/extensions/handler") {
		t.Errorf("got %v, want the handler", ok)
	}
	if _, ok := s.find("andler"); ok {
		t.Error("got an actor by a piece of its name")
	}
}
