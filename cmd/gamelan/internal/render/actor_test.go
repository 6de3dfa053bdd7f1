package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestActorWithoutStacks: the stacks of goroutines are shown only to those who ask.
func TestActorWithoutStacks(t *testing.T) {
	a := Actor{
		Actor:  inspect.Actor{ID: "node/conns/a", State: inspect.Running},
		Stacks: []inspect.Goroutines{{Count: 1, Labels: map[string]string{"task": "read"}, Stack: []string{"yamux.recv"}}},
	}
	for _, stacks := range []bool{false, true} {
		var out, note bytes.Buffer
		if err := ShowActor(&Output{Out: &out, Err: &note}, a, stacks, nil); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "yamux") != stacks || strings.Contains(note.String(), "gamelan why --stacks node/conns/a") == stacks {
			t.Errorf("stacks %t: got %q and the note %q", stacks, out.String(), note.String())
		}
	}
}
