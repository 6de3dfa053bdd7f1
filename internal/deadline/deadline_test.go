package deadline

import (
	"testing"
	"time"
)

// TestEarlier: never is later than any time.
func TestEarlier(t *testing.T) {
	first := time.Unix(1, 0)
	second, never := first.Add(1), time.Time{}
	for _, c := range [][3]time.Time{{first, second, first}, {second, first, first}, {never, first, first}, {first, never, first}, {never, never, never}} {
		if got := Earlier(c[0], c[1]); got != c[2] {
			t.Errorf("of %v and %v: got %v, want %v", c[0], c[1], got, c[2])
		}
	}
}
