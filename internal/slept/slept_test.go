package slept

import (
	"testing"
	"time"
)

// TestNow: a machine that is awake does not sleep.
func TestNow(t *testing.T) {
	before := Now()
	time.Sleep(20 * time.Millisecond)
	if more := Now() - before; before < 0 || more.Abs() > 10*time.Millisecond {
		t.Errorf("got %v, and %v more in 20 ms, want the same", before, more)
	}
}
