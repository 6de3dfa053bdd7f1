//go:build !linux

package daemon

import (
	"time"
)

// monotonic returns 0: this system has no service manager with such a clock.
func monotonic() time.Duration { return 0 }
