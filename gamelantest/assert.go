package gamelantest

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// lookAgain is the time between two looks of Eventually.
const lookAgain = 10 * time.Millisecond

// Eventually looks until ok, and ends the test with what was expected if that
// takes longer than limit. In a [Bubble] the waiting costs next to nothing.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(lookAgain) {
		if !time.Now().Before(end) {
			t.Fatalf("after %v: got nothing, want %s", limit, what)
		}
	}
}

// healLimit is more than the longest pause between two restarts.
const healLimit = time.Minute

// Healed waits until every actor of the node runs, for up to a minute, and ends
// the test with those that have failed or wait for their restart. It gives what
// was sent to an actor just now, such as by [Crash], time to arrive.
func Healed(t testing.TB, n *gamelan.Node) {
	t.Helper()
	var sick string
	for end := time.Now().Add(healLimit); ; {
		time.Sleep(lookAgain)
		if sick = ailing(n); sick == "" {
			return
		}
		if !time.Now().Before(end) {
			t.Fatalf("after %v: got %s, want every actor running", healLimit, sick)
		}
	}
}

// ailing names the actors that are not at work and why.
func ailing(n *gamelan.Node) string {
	var sick []string
	for _, info := range n.Inspection().Tree().Snapshot() {
		switch info.State {
		case supervisor.StateRunning, supervisor.StateBusy:
			continue
		}
		line := info.Path + " " + info.State
		if info.LastFailure != nil {
			line += " (" + info.LastFailure.Error() + ")"
		}
		sick = append(sick, line)
	}
	if err := n.Err(); err != nil {
		sick = append(sick, err.Error())
	}
	return strings.Join(sick, ", ")
}
