//go:build unix

package harness

import (
	"syscall"
	"time"
)

// ProcessCPU is the user and system time of this process so far.
func ProcessCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("harness: getrusage of our own process failed: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
