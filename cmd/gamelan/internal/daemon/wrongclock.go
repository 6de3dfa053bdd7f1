//go:build wrongclock

package daemon

import (
	"os"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// This build is for tests: the node's wall clock differs from the system's by the duration in
// WRONG_CLOCK. Its log, and commands, have the system's.
func init() {
	ahead, err := time.ParseDuration(os.Getenv("WRONG_CLOCK"))
	if err != nil {
		return
	}
	clock := gamelantest.NewClock()
	clock.Step(ahead)
	buildOptions = append(buildOptions, gamelan.WithRuntime(clock))
}
