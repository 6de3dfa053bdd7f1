// Package slept tells how long the machine has slept, such as a laptop that was closed.
package slept

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns by how much the clock that goes on while the machine sleeps is ahead of the one that does not. The difference of two
// calls is the sleep between them. It is always 0 on systems other than Linux.
func Now() time.Duration {
	read := func(id int32) time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(id, &t) != nil {
			return 0
		}
		return time.Duration(t.Nano())
	}
	return max(0, read(unix.CLOCK_BOOTTIME)-read(unix.CLOCK_MONOTONIC)) // the two readings are a moment apart
}
