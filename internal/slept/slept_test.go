package slept

import (
	"testing"
	"time"
)

// TestNow: a machine that is awake does not sleep.
func TestNow(t *testing.T) {
	before, least := max(Now(), Now(), Now()), time.Hour
	for range 5 { // beside others the two clocks may be read far apart
		time.Sleep(20 * time.Millisecond)
		least = min(least, (Now() - before).Abs())
	}
	if before < 0 || least > 10*time.Millisecond {
		t.Errorf("got %v, and %v more in 20 ms, want the same", before, least)
	}
}
