package daemon

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
)

// TestWatchdogIsSilentWhenTheNodeDoesNotWork: first the connectivity actor
// hangs, then the node has ended.
func TestWatchdogIsSilentWhenTheNodeDoesNotWork(t *testing.T) {
	conn := managerSocket(t)
	var errs bytes.Buffer
	var hang atomic.Bool
	release := make(chan struct{})
	d := newDaemon(Options{Output: &render.Output{Out: new(bytes.Buffer), Err: &errs}, Loaded: daemonconfig.Load(daemonconfig.Sources{})})
	var err error
	d.node, err = gamelan.Start(t.Context(), gamelan.Config{}, gamelan.WithFault(func(path, _ string) {
		if hang.Load() && strings.HasSuffix(path, "/connectivity") {
			<-release
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.node.Close(context.Background())

	d.guard(t.Context())
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "WATCHDOG=1" {
		t.Fatalf("of a node that works: got %q, %v, want WATCHDOG=1", b[:n], err)
	}
	hang.Store(true)
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := d.unhealthy(soon); len(got) != 1 || got[0].Code != codes.ConnectivitySilent.Name {
		t.Errorf("of a node that hangs: got %v, want that connectivity is silent", got)
	}
	d.guard(soon)
	hang.Store(false)
	close(release)
	if err := d.node.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.unhealthy(t.Context()); len(got) != 1 || got[0].Code != codes.Ended.Name {
		t.Errorf("of a node that has ended: got %v, want that", got)
	}
	d.guard(t.Context())
	for _, want := range []string{"the connectivity actor does not answer; look at it in the tree of actors", "the node has ended"} {
		if !strings.Contains(errs.String(), `level=ERROR msg="the node does not work" reasons="`+want+`"`) {
			t.Errorf("got the log %s, want an error with %q", errs.String(), want)
		}
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // a datagram to a socket of this machine is there when it is sent
	if n, err := conn.Read(b); err == nil {
		t.Errorf("got %q, want nothing of a node that does not work", b[:n])
	}
}
