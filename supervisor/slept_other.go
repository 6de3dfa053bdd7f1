//go:build !linux

package supervisor

import "time"

// slept is not known: the clock of these systems that measures may go on while the machine sleeps.
func slept() time.Duration { return 0 }
