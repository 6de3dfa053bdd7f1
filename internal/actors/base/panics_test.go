package base

import (
	"fmt"
	"testing"
	"time"
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
