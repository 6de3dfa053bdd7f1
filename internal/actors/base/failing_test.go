package base

import (
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestFailing: failures count for ten minutes, and actors that fail once each do not push out one
// that fails again and again.
func TestFailing(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := &Base{Settings: Settings{Root: "r", Now: func() time.Time { return now }}}
	fail := func(path string) { b.Failed("r/node/"+path, &supervisor.PanicError{Value: "a bug"}) }
	for range 3 {
		fail("dialer")
		now = now.Add(time.Minute)
	}
	for i := range 1000 {
		fail(fmt.Sprint("conns/", i))
	}
	count := func() (n int, all int) {
		for _, f := range b.Failing() {
			if f.Path == "dialer" {
				n = f.Count
			}
			all++
		}
		return n, all
	}
	if n, all := count(); n != 3 || all != maxFailing {
		t.Errorf("got %d failures of the dialer among %d actors, want 3 among %d", n, all, maxFailing)
	}
	now = now.Add(FailingWithin - 3*time.Minute)
	if n, _ := count(); n != 2 {
		t.Errorf("got %d failures ten minutes after the first, want 2", n)
	}
	now = now.Add(FailingWithin)
	if n, all := count(); n != 0 || all != 0 {
		t.Errorf("got %d of %d, want none any more", n, all)
	}
	for range maxFailures + 10 {
		fail("dialer")
	}
	if n, _ := count(); n != maxFailures {
		t.Errorf("got %d failures kept, want at most %d", n, maxFailures)
	}
}
