package tests

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

// TestExampleBroken finds the four faults of examples/broken, as docs/actors.md tells, and ends it: the
// error names the actor that is stuck.
func TestExampleBroken(t *testing.T) {
	t.Parallel()
	program := build(t, "broken")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, program, "-dir", dir)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := client.New(dir, client.Options{})
	until := func(what string, found func() (bool, error)) {
		t.Helper()
		for {
			ok, err := found()
			if ok {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s was not seen, last error %v; the program wrote\n%s", what, err, &out)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	actor := func(name string) (inspect.Actor, error) {
		return c.Actor(ctx, "extensions/"+name)
	}
	until("the crash loop", func() (bool, error) {
		a, err := actor("printer")
		return a.Restarts > 1 && a.LastFailure != nil && a.LastFailure.MessageType == "main.label", err
	})
	until("the message to nobody", func() (bool, error) {
		all, err := c.DeadLetters(ctx)
		return len(all) > 0 && strings.HasSuffix(all[0].Target, "/keeper/lodger"), err
	})
	until("the children that never end", func() (bool, error) {
		a, err := actor("door")
		return a.Children > 5, err
	})
	until("the stuck handler", func() (bool, error) {
		a, err := actor("cashier")
		return a.State == inspect.Stuck && a.Mailbox.Depth > 5 && a.Current != nil && a.Current.MessageType == "main.bill", err
	})
	stacks, err := c.Stacks(ctx, "extensions/cashier")
	if err != nil || len(stacks.Goroutines) != 1 || !strings.Contains(strings.Join(stacks.Goroutines[0].Stack, "\n"), "(*cashier).Receive") {
		t.Errorf("got the stacks %v, %v, want where the cashier waits", stacks, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "cashier") {
		t.Errorf("got %v and\n%s\nwant an error that names the cashier", err, &out)
	}
}
