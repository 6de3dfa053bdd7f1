package kv

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

// The pause after a write that failed, which doubles with each further one.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// RetryAfter is how long a client waits before it writes again after so many
// writes in a row that failed: a second after the first one, doubling to a minute.
func RetryAfter(fails int) time.Duration { return backoff.Doubled(fails, retryFirst, retryMost) }
