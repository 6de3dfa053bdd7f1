package gamelantest

import "time"

// SetLeakLimit sets how long NoLeak waits for goroutines to end.
func SetLeakLimit(d time.Duration) { leakLimit = d }
