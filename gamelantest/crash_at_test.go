package gamelantest_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// isThird chooses the message "3".
func isThird(msg any) bool {
	switch m := msg.(type) {
	case gamelan.Message:
		return string(m.Body) == "3"
	case gamelan.Received:
		return string(m.Body) == "3"
	}
	return false
}

// failing records what a test helper reports.
type failing struct {
	testing.TB
	errors []string
}

func (f *failing) Helper()                      {}
func (f *failing) Errorf(text string, a ...any) { f.errors = append(f.errors, fmt.Sprintf(text, a...)) }

// TestCrashAt crashes a function and an actor at the third of five messages. The other
// four arrive, and Sees tells what there is to see, and what is not.
func TestCrashAt(t *testing.T) {
	for name, with := range map[string]func(*gamelantest.CrashPoint, *gamelantest.Collector) gamelan.Option{
		"function": func(p *gamelantest.CrashPoint, heard *gamelantest.Collector) gamelan.Option {
			return gamelan.WithMessages(p.Func(heard.Hear))
		},
		"actor": func(p *gamelantest.CrashPoint, heard *gamelantest.Collector) gamelan.Option {
			return gamelan.WithHandler(p.Actor(heard.New))
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				net.Quiet = true
				point, heard := gamelantest.CrashAt("a bug", isThird), gamelantest.NewCollector()
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{}, with(point, heard), gamelan.WithLogger(slog.New(slog.DiscardHandler)))
				net.Connect(a, b)
				for i := range 6 {
					if point.Hit() != (i > 3) {
						t.Errorf("before message %d: got hit %v", i, point.Hit())
					}
					if _, err := a.Send(t.Context(), b.ID(), fmt.Append(nil, i)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				gamelantest.Eventually(t, time.Second, "five messages", func() bool { return heard.Len() == 5 })
				if got := strings.Join(heard.Bodies(), ""); got != "01245" {
					t.Errorf("got %q, want all but 3", got)
				}
				want := gamelantest.Aftermath{
					Actor: "extensions/handler", Restarts: 1, Panic: "a bug", Degraded: "extensions/handler", Connected: []identity.NodeID{a.ID()},
				}
				gamelantest.Sees(t, b.Node, want)
				wrong := &failing{TB: t}
				gamelantest.Sees(wrong, b.Node, gamelantest.Aftermath{Actor: "extensions/handler", Panic: "another", Connected: []identity.NodeID{b.ID()}})
				gamelantest.Sees(wrong, b.Node, gamelantest.Aftermath{Actor: "nobody", Degraded: "extensions/handler"})
				if len(wrong.errors) != 5 {
					t.Errorf("got %q, want five differences", wrong.errors)
				}
			})
		})
	}
}

// A function of your program has a bug. The test says at which message, and what the
// user of the node sees: one restart, a degraded node, and no lost connection.
func ExampleCrashAt() {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		point := gamelantest.CrashAt("a bug", func(msg any) bool {
			m, ok := msg.(gamelan.Message)
			return ok && string(m.Body) == "3"
		})
		alice := net.Start(gamelan.Config{})
		bob := net.Start(gamelan.Config{}, gamelan.WithMessages(point.Func(func(context.Context, gamelan.Message) error { return nil })))
		net.Connect(alice, bob)
		if _, err := alice.Send(t.Context(), bob.ID(), []byte("3")); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, time.Second, "the crash", point.Hit)
		gamelantest.Sees(t, bob.Node, gamelantest.Aftermath{
			Actor: "extensions/handler", Restarts: 1, Panic: "a bug",
			Degraded: "extensions/handler", Connected: []identity.NodeID{alice.ID()},
		})
	})
}
