package base

import (
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestPanickingIsBounded has more actors panic than are remembered: the oldest is
// forgotten.
func TestPanickingIsBounded(t *testing.T) {
	var p Panics
	now := time.Unix(0, 0)
	path := func(i int) string { return fmt.Sprintf("services/messaging/%d", i) }
	for i := range 3 * maxPanicking {
		if !p.add(Panicking{Path: path(i), Last: now.Add(time.Duration(i))}) {
			t.Errorf("actor %d: got no word at once", i)
		}
	}
	if len(p.by) != maxPanicking || p.by[path(0)] != nil || p.by[path(3*maxPanicking-1)] == nil {
		t.Errorf("got %d actors, want the last %d", len(p.by), maxPanicking)
	}
}

// A message that embeds an origin is a source as well.
func TestOriginOf(t *testing.T) {
	o := actors.Origin{Peer: identity.NodeID{1}, Conn: 2}
	for _, source := range []supervisor.Source{o, struct{ actors.Origin }{o}, &actors.Substream{Origin: o}} {
		if got := originOf(source); got != o {
			t.Errorf("%T: got %v, want %v", source, got, o)
		}
	}
	if got := originOf(nil); got != (actors.Origin{}) || actors.Origin.Source(got) != nil {
		t.Errorf("got %v, want nobody", got)
	}
}
