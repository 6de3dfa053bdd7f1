package gamelan_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// logLines is a log in memory.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

// with returns how many lines hold all of these.
func (l *logLines) with(all ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		missing := false
		for _, part := range all {
			missing = missing || !strings.Contains(line, part)
		}
		if !missing {
			n++
		}
	}
	return n
}

// TestPanicsShow has an actor of the node's own panic on what a peer sends, which
// is seldom enough for the connection to live: the log says so at once and then once
// a minute, and Describe until ten minutes after the last time.
func TestPanicsShow(t *testing.T) {
	const kind = 2002
	bug := gamelan.WithFault(func(path, point string) {
		if strings.HasSuffix(path, "/dht/inbound-0") && point == "dhtpart.Frame" {
			panic("cannot do anything")
		}
	})
	for name, test := range map[string]struct {
		options []gamelan.Option
		actor   string
		counts  string
	}{
		"judging": {[]gamelan.Option{bug}, "dht/inbound-0", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				log := new(logLines)
				cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}}
				a := net.Start(cfg)
				b := net.Start(cfg, append(test.options,
					gamelan.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))))...)
				net.Connect(a, b)
				post := func(n int) {
					for i := range n {
						m := dht.Message{To: dht.Direct{Peer: b.ID()}, Type: kind, Body: fmt.Append(nil, i)}
						if _, err := a.DHT().Send(t.Context(), m); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Second)
					}
					synctest.Wait()
				}
				warnings := func() string { return strings.Join(b.Inspection().Node(t.Context()).Warnings.Texts(), "; ") }
				first, more := []string{"panic on a message of a peer", "/node/" + test.actor + " ", "cannot do", "at=panics_test.go:", "stack_id="}, []string{"more panics on messages of peers", "/node/" + test.actor + " ", "at=panics_test.go:"}
				begin := time.Now()
				post(1)
				if got, want := warnings(), "actor "+test.actor+" panicked on 1 message of peers, last 1s ago; look at what it has failed on"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				wantSaid(t, b.Node, codes.ActorPanicked)
				post(13)
				if got := log.with(first...); got != 1 {
					t.Errorf("got %d lines for the first panic, want 1", got)
				}
				if got, want := warnings(), "actor "+test.actor+" panicked on 14 messages of peers, last 1s ago; look at what it has failed on"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				var counts []string
				for _, n := range nodetest.DHT(b).Counts() {
					counts = append(counts, fmt.Sprintf("{%s %d}", n.Reason, n.Count))
				}
				if got := fmt.Sprint(counts); got != test.counts {
					t.Errorf("got %s, want %s", got, test.counts)
				}
				time.Sleep(5 * time.Minute)
				minutes, told := int(time.Since(begin)/time.Minute), 0
				for n := range 14 {
					told += n * log.with(append(more, fmt.Sprintf(" n=%d ", n))...)
				}
				if lines := log.with(more...); told != 13 || lines > min(12, minutes) {
					t.Errorf("got %d panics in %d lines for more within %d minutes, want 13 and one in a minute", told, lines, minutes)
				}
				time.Sleep(5 * time.Minute)
				if got := warnings(); strings.Contains(got, "panicked") {
					t.Errorf("got %q, want it forgotten", got)
				}
				post(1)
				if got := log.with(first...); got != 2 {
					t.Errorf("got %d lines for the first panic, want another one", got)
				}
			})
		})
	}
}
