package supervisor

import (
	"time"

	"golang.org/x/sys/unix"
)

// slept returns by how much the clock that goes on while the machine sleeps is ahead of the one that does not.
func slept() time.Duration {
	read := func(id int32) time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(id, &t) != nil {
			return 0
		}
		return time.Duration(t.Nano())
	}
	return read(unix.CLOCK_BOOTTIME) - read(unix.CLOCK_MONOTONIC)
}
