//go:build !linux

package daemon

import (
	"time"
)

// monotonic is the clock that the service manager compares reloads by; there
// is none here.
func monotonic() time.Duration { return 0 }
