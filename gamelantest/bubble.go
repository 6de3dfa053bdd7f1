package gamelantest

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// settleTime is how long the actor runtime may keep a goroutine after the last
// message to an ended actor.
const settleTime = 2 * time.Second

// Bubble runs f in a testing/synctest bubble, where time is virtual: it passes
// only while every goroutine of the bubble waits. f's t and everything that
// f starts belong to the bubble, and functions that f registers with t.Cleanup run in
// it. A goroutine that is left after that fails the test, which prints its stack.
//
// Use nothing but memory in a bubble: a goroutine that waits for a socket or a file stops
// the clock. When one has waited for a socket for ten seconds of real time and nothing
// else runs, the test program ends with a panic that says so. Start nodes in a bubble
// with [Network.Start]. Bubbles must not run in parallel with one another.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	// A timer from outside must not be used in the bubble, nor the reverse.
	emptyPools()
	defer emptyPools()
	defer watch(stuckEvery, stuckTimes, func(text string) { panic(text) })()
	synctest.Test(t, func(t *testing.T) {
		harness := goroutines()
		t.Cleanup(func() { // registered first, so it runs last
			time.Sleep(settleTime)
			synctest.Wait()
			if left := leaked(harness); left != "" {
				// The bubble cannot end: it would wait for them.
				panic("gamelantest: goroutines were left behind; stop or close their owners before the test ends\n\n" + left)
			}
		})
		f(t)
	})
}

// emptyPools drops the timers that the multiplexer keeps in a pool. A sync.Pool is empty
// only after two garbage collections.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}
