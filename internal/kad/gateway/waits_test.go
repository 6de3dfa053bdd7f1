package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestWaits keeps the times that peers have told, within bounds.
func TestWaits(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	w := make(waits)
	w.note("a", 3*time.Second, now)
	w.note("b", 24*time.Hour, now)
	w.note("c", 0, now)
	for _, x := range []struct {
		at    overlay.Address
		after time.Duration
		want  time.Duration
	}{
		{"a", 0, 3 * time.Second},
		{"a", 2 * time.Second, time.Second},
		{"a", 3 * time.Second, 0},
		{"b", 0, 10 * time.Minute},
		{"b", 10 * time.Minute, 0},
		{"c", 0, 0},
		{"never heard of", 0, 0},
	} {
		if got := w.left(x.at, now.Add(x.after)); got != x.want {
			t.Errorf("%s after %v: got %v, want %v", x.at, x.after, got, x.want)
		}
	}
	if len(w) != 0 {
		t.Errorf("got %d peers that need not be waited for, want none", len(w))
	}
	for i := range 2 * maxWaits {
		w.note(overlay.Address(fmt.Sprint(i)), time.Second, now)
	}
	if len(w) != maxWaits {
		t.Errorf("got %d peers, want %d", len(w), maxWaits)
	}
	w.note("late", time.Second, now.Add(time.Second))
	if len(w) != 1 || w.left("late", now.Add(time.Second)) != time.Second {
		t.Errorf("got %d peers after the wait of the others, want the new one", len(w))
	}
}
