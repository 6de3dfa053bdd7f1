// Package kit is what the tests of several subjects share: members of the DHT, hostile
// messages, services and nodes that listen on loopback.
package kit

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// Relayed is a message for to that the peer over relays.
func Relayed(over, to *gamelantest.Node, body string) dht.Message {
	return dht.Message{
		To: dht.Selected{Peers: []identity.NodeID{over.ID()}}, Destination: to.PublicKey(), Encrypt: true, Type: TextType, Body: []byte(body),
	}
}

// Take listens until most messages have come, acknowledges the first acks of them
// and returns their bodies.
func Take(t *testing.T, n *gamelantest.Node, most, acks int, o gamelan.ListenOptions) (bodies []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for m, err := range n.Inbox().Listen(ctx, o) {
		if err != nil {
			t.Fatalf("listen: %v", err)
		}
		if bodies = append(bodies, string(m.Body)); len(bodies) <= acks {
			if err := n.Inbox().Ack(ctx, m.Seq); err != nil {
				t.Fatal(err)
			}
		}
		if len(bodies) == most {
			break
		}
	}
	if len(bodies) != most {
		t.Fatalf("got %d messages in a minute, want %d: %+v", len(bodies), most, n.Inbox().Status())
	}
	synctest.Wait()
	return bodies
}

// Quiet is for nodes whose warnings are what the test provokes.
var Quiet = gamelan.WithLogger(slog.New(slog.DiscardHandler))

// Enqueue has n accept a message, or ends the test.
func Enqueue(t *testing.T, n *gamelantest.Node, to *gamelantest.Node, body string, opts ...gamelan.SendOption) *gamelan.Pending[gamelan.Outcome] {
	t.Helper()
	p, err := n.Submit(t.Context(), to.ID(), []byte(body), opts...)
	if err != nil {
		t.Fatalf("enqueue %q: %v", body, err)
	}
	return p
}

// Numbered is "<prefix> 0" to "<prefix> n-1".
func Numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s %d", prefix, i)
	}
	return all
}

// WantBodies compares what somebody heard with what was wanted, in order.
func WantBodies(t *testing.T, who string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s heard: got %d %.300q, want %d %.300q", who, len(got), got, len(want), want)
	}
}

// InfoOf finds an actor of the user's.
func InfoOf(t *testing.T, n *gamelantest.Node, name string) supervisor.Info {
	t.Helper()
	for _, i := range n.Inspection().Tree().Snapshot() {
		if strings.HasSuffix(i.Path, "/"+name) {
			return i
		}
	}
	t.Fatalf("no actor %s", name)
	return supervisor.Info{}
}

// Conns is how many actors of connections the node has.
func Conns(n *gamelantest.Node) (count int) {
	for _, info := range n.Inspection().Tree().Snapshot() {
		if info.Kind == "conn" {
			count++
		}
	}
	return count
}

// LineOf is what an actor says of itself.
func LineOf(t *testing.T, n *gamelantest.Node, path string) string {
	t.Helper()
	d, err := n.Inspection().Tree().Inspect(t.Context(), n.Inspection().Tree().PID().Id+"/"+path)
	if err != nil {
		t.Fatal(err)
	}
	return d.Line
}

// Namer answers every substream with the name of its protocol.
type Namer struct{}

// Receive answers a substream and ends it.
func (Namer) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.SubstreamOpened); ok {
		if s, ok := m.Stream.Take(); ok {
			_, _ = io.WriteString(s, string(m.Protocol))
			_ = s.CloseWrite()
		}
	}
}

// Heap is what the program holds after a collection.
func Heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// SlowLink is a link across the country.
var SlowLink = memory.Link{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}

var update = flag.Bool("update", false, "write the pages that tests make")

// WantPage compares a page, by its path in the module, with what the test that calls it makes of
// it. With -update it writes the page.
func WantPage(t *testing.T, page, want string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := here
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Fatal("no module is above the test")
		}
		root = filepath.Dir(root)
	}
	path := filepath.Join(root, filepath.FromSlash(page))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got a stale %s, want it made again: go test ./%s -run %s -update", page, filepath.ToSlash(strings.TrimPrefix(here, root+string(filepath.Separator))), t.Name())
	}
}
