package processes

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// A cable is pulled while messages are under way, and another connection comes later. With
// --retry all of them arrive, because the peer is a node of this library; with --no-resend none
// arrives twice.
func TestRetryOverACable(t *testing.T) {
	t.Parallel()
	const lines = 64
	for _, test := range []struct {
		name string
		args []string
	}{{"again", nil}, {"at most once", []string{"--no-resend"}}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newTwoNodes(t, "--connections-keep-alive=1s", "--mux-ping-timeout=5s", "--public-address", "/ip4/127.0.0.1/tcp/1")
			n.connect()
			heard := listen(t, n.b)
			in, feed := io.Pipe()
			out, errs := new(shell), new(shell)
			cmd := command(t, append([]string{"send", "--retry", "--data-dir", n.a.dir, n.key}, test.args...)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			feedLines := func(from, to int) {
				for i := from; i <= to; i++ {
					fmt.Fprintln(feed, i)
				}
			}
			feedLines(1, 1)
			heard.settle(atLeast(1))
			n.f.mute.Store(true)
			feedLines(2, lines)
			feed.Close()
			waitFor(t, "the sender to notice", func() bool {
				return strings.Contains(out.text(), "in doubt") || strings.Contains(errs.text(), "cannot be reached")
			})
			n.f.mute.Store(false)
			n.f.reset()
			err := cmd.Wait()
			got := outcomes(t, out.text())
			if len(got) != lines {
				t.Fatalf("got %d outcomes, want %d; send wrote: %s", len(got), lines, errs.text())
			}
			seen := make(map[int]int)
			for _, line := range heard.settle(allConfirmed(t, out.text())) {
				seen[number(t, line)]++
			}
			doubts := 0
			for i := 1; i <= lines; i++ {
				switch {
				case test.args == nil && (got[i] != "confirmed" || seen[i] == 0):
					t.Errorf("message %d: got %s, and %d times, want it confirmed and there", i, got[i], seen[i])
				case test.args != nil && seen[i] > 1:
					t.Errorf("message %d: got it %d times, want it at most once", i, seen[i])
				}
				if got[i] == "in doubt" {
					doubts++
				}
			}
			if test.args == nil && err != nil || test.args != nil && doubts == 0 {
				t.Errorf("got %v, %d in doubt; send wrote: %s", err, doubts, errs.text())
			}
			t.Logf("%d of %d there, %d in doubt", len(seen), lines, doubts)
		})
	}
}
