// Package killtest has what tests share that kill a process again and again while it writes,
// and look at what it has left.
//
// The process that is killed is the test binary itself, started with a variable in its
// environment. It says on standard output what it does, one line each, with a number:
//
//	now N     it is about to write what has a number up to N
//	kept N    that is acknowledged
//	drop N    it is about to delete what has a number up to N
package killtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Kills returns how often a test kills: usually so many times, or as GAMELAN_KILLS says.
func Kills(usually int) int {
	if n, err := strconv.Atoi(os.Getenv("GAMELAN_KILLS")); err == nil {
		return n
	}
	return usually
}

// Said is what a process has said before it was killed: the last number of each kind, 0 for
// none.
type Said struct{ Now, Kept, Dropped uint64 }

// Run starts this test again as a process with variables added to its environment, waits
// until the process has acknowledged something for so many times, and a little longer, and
// kills it.
func Run(t *testing.T, acknowledged int, wait time.Duration, environment ...string) (s Said) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var what string
		var n uint64
		if _, err := fmt.Sscan(lines.Text(), &what, &n); err != nil {
			t.Errorf("got %q from the process, want what it does", lines.Text())
		}
		switch what {
		case "now":
			s.Now = n
		case "drop":
			s.Dropped = n
		case "kept":
			s.Kept = n
			if acknowledged--; acknowledged == 0 {
				time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
			}
		}
	}
	_ = cmd.Wait()
	if acknowledged > 0 {
		t.Fatalf("the process ended by itself, with %d the last that was acknowledged", s.Kept)
	}
	return s
}
