package gamelantest

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// lookAgain is the time between two checks of Eventually.
const lookAgain = 10 * time.Millisecond

// Eventually waits until ok returns true. If that takes longer than limit, it ends the
// test and prints what, the expectation. In a [Bubble] waiting costs almost nothing.
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

// Healed waits, for up to a minute, until every actor of the node runs. Otherwise it
// ends the test and prints the actors that have failed or wait for their restart. Before
// that it gives messages that were just sent, such as by [Crash], time to arrive.
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

// ailing names the actors that do not run, and why.
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
