// Package stepped returns, for tests, times as a program reads them after the
// system's clock was set.
package stepped

import (
	"time"
	"unsafe"
)

// Time returns t as time.Now would have given it after the system's clock had
// been set forward by d, or back if d is negative: another date and time of day
// with the same monotonic reading. d is in whole seconds, and the result lies
// between 1885 and 2157. For a t without a monotonic reading, Time returns t.Add(d).
func Time(t time.Time, d time.Duration) time.Time {
	const hasMonotonic, nanoBits = 1 << 63, 30
	// The fields of time.Time, which Go has kept since 1.9.
	raw := (*struct {
		wall uint64 // with a monotonic reading: 1 bit, 33 bits of seconds since 1885, 30 of nanoseconds
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if raw.wall&hasMonotonic == 0 {
		return t.Add(d)
	}
	raw.wall += uint64(int64(d/time.Second) << nanoBits)
	return t
}
