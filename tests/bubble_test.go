package tests

import (
	"time"

	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// slowLink is a link across the country.
var slowLink = memory.Link{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}
