// Package bubbled counts goroutines in bubbles.
package bubbled

import (
	"bytes"
	"runtime"
)

// Count returns how many goroutines are in bubbles: those of the runtime and of
// other tests come and go.
func Count() int {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			return bytes.Count(stacks[:n], []byte(", synctest bubble "))
		}
		stacks = make([]byte, 2*len(stacks))
	}
}
