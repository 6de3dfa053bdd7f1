package gamelantest

import (
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakLimit is how long goroutines may take to end; a test of NoLeak shortens it.
var leakLimit = 10 * time.Second

// NoLeak fails the test if, at its end, there are goroutines that did not exist when
// NoLeak was called. Call it first, in tests with real sockets; a [Bubble] does the same
// for its own goroutines. NoLeak waits up to ten seconds for goroutines that are about to
// end. A test that uses it must not call t.Parallel.
func NoLeak(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		var err error
		for end := time.Now().Add(leakLimit); time.Now().Before(end); {
			if err = goleak.Find(before); err == nil { // waits a little itself
				return
			}
		}
		t.Errorf("goroutines were left behind: %v", err)
	})
}

// heading matches the first line of a goroutine's stack: its number, its state and its
// bubble.
var heading = regexp.MustCompile(`^goroutine (\d+) \[[^\]]*, (synctest bubble \d+)[^\]]*\]`)

// goroutines returns the goroutines of the caller's bubble by number, as stacks.
func goroutines() map[string]string {
	all := strings.Split(stacks(), "\n\n")
	own := heading.FindStringSubmatch(all[0]) // the caller comes first
	found := make(map[string]string)
	if own == nil {
		return found
	}
	for _, stack := range all {
		if h := heading.FindStringSubmatch(stack); h != nil && h[2] == own[2] {
			found[h[1]] = stack
		}
	}
	return found
}

// leaked returns the stacks of the bubble's goroutines that are not in before.
func leaked(before map[string]string) string {
	var left []string
	for number, stack := range goroutines() {
		if _, ok := before[number]; !ok {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

func stacks() string {
	for size := 1 << 16; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size {
			return string(b[:n])
		}
	}
}
