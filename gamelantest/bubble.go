package gamelantest

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// settleTime is how long the actor runtime may keep a goroutine after the last
// message to an actor that is gone.
const settleTime = 2 * time.Second

// Bubble runs f in a testing/synctest bubble, where time is virtual: it passes
// only while every goroutine of the bubble waits. f's t and everything that
// f starts belong to the bubble; what f has registered with t.Cleanup runs in
// it. Afterwards no goroutine may be left: those that are fail the test, with
// their stacks.
//
// Only what is in memory works in a bubble: a goroutine that waits for a socket
// or a file keeps the clock from moving. When one has waited for a socket for
// ten seconds of real time and nothing else moves, the test program ends with a
// panic that says so: nodes in a bubble are started with [Network.Start].
// Bubbles must not run in parallel with one another.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	// A timer of outside must not be used in the bubble, nor one of the
	// bubble outside.
	emptyPools()
	defer emptyPools()
	defer watch(stuckEvery, stuckTimes, func(text string) { panic(text) })()
	synctest.Test(t, func(t *testing.T) {
		harness := goroutines()
		t.Cleanup(func() { // the first is the last to run
			time.Sleep(settleTime)
			synctest.Wait()
			if left := leaked(harness); left != "" {
				// The bubble cannot end: it would wait for them, or for ever.
				panic("gamelantest: goroutines were left behind; stop or close what they belong to before the test ends\n\n" + left)
			}
		})
		f(t)
	})
}

// emptyPools drops the timers that the multiplexer keeps in a pool: the second
// collection empties what the first has set aside.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}
