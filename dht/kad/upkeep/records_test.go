package upkeep

import (
	"testing"
	"time"
)

// TestReplicateEvery compares the interval with half of the half-life.
//
// conforms: kad 49
func TestReplicateEvery(t *testing.T) {
	for _, x := range []struct{ halfLife, want time.Duration }{
		{0, time.Hour}, {10 * time.Hour, time.Hour}, {time.Hour, 30 * time.Minute}, {18 * time.Minute, 9 * time.Minute}, {time.Minute, 5 * time.Minute},
	} {
		if got := ReplicateEvery(x.halfLife); got != x.want {
			t.Errorf("half-life %v: got %v, want %v", x.halfLife, got, x.want)
		}
	}
}
