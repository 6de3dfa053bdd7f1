package gamelantest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

func TestExample(test *testing.T) {
	t = test
	Example()
}

// TestSecondBubble fails in the multiplexer when a bubble is given timers of
// the one before.
func TestSecondBubble(t *testing.T) {
	for range 3 {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
			net.Connect(a, b)
			time.Sleep(time.Hour)
		})
	}
}

func TestBubbleIsVirtual(t *testing.T) {
	began := time.Now()
	gamelantest.Bubble(t, func(t *testing.T) { time.Sleep(24 * time.Hour) })
	if took := time.Since(began); took > time.Minute {
		t.Errorf("24 hours took %v", took)
	}
}

// TestLeaks runs itself in a process of its own, because a leak in a bubble
// ends the process.
func TestLeaks(t *testing.T) {
	const env = "GAMELANTEST_LEAK"
	switch os.Getenv(env) {
	case "bubble":
		gamelantest.Bubble(t, func(*testing.T) { go leftBehind(make(chan int)) })
		return
	case "real":
		gamelantest.SetLeakLimit(100 * time.Millisecond)
		gamelantest.NoLeak(t)
		go leftBehind(make(chan int))
		return
	}
	for _, where := range []string{"bubble", "real"} {
		t.Run(where, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestLeaks$", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), env+"="+where)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("a leak: got a test that passes, want one that fails")
			}
			for _, want := range []string{"left behind", "leftBehind"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("got %s\nwant %q in it", out, want)
				}
			}
		})
	}
}

func leftBehind(c chan int) { <-c }

func TestNoLeakPasses(t *testing.T) {
	gamelantest.NoLeak(t)
	done := make(chan int)
	go leftBehind(done)
	close(done)
}

func TestCollectorBlocks(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		unblock := heard.Block()
		for i := range 3 {
			if out, err := a.Send(t.Context(), b.ID(), fmt.Append(nil, i)); err != nil || out.Kind != protocol.Confirmed {
				t.Fatalf("got %v, %v, want confirmed", out, err)
			}
		}
		synctest.Wait()
		if got := heard.Len(); got != 1 {
			t.Errorf("blocked: got %d messages, want 1", got)
		}
		unblock()
		synctest.Wait()
		if got, want := strings.Join(heard.Bodies(), " "), "0 1 2"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if m := heard.Messages()[0]; m.Peer != a.ID() {
			t.Errorf("from: got %s, want %s", m.Peer, a.ID())
		}
	})
}

func TestCrash(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}, quiet), net.Start(gamelan.Config{}, quiet)
		net.Connect(a, b)
		for _, path := range []string{"dialer", a.Inspection().Tree().PID().Id + "/connectivity"} {
			if !gamelantest.Crash(a.Node, path, "a bug") {
				t.Fatalf("got no actor %s", path)
			}
		}
		if gamelantest.Crash(a.Node, "nobody", "a bug") {
			t.Error("crash of an actor that does not exist: got true, want false")
		}
		gamelantest.Healed(t, a.Node)
		for _, info := range a.Inspection().Tree().Snapshot() {
			if strings.HasSuffix(info.Path, "/dialer") || strings.HasSuffix(info.Path, "/connectivity") {
				if info.Incarnation != 2 || info.LastFailure == nil || fmt.Sprint(info.LastFailure.Value) != "a bug" {
					t.Errorf("%s: got incarnation %d after %v, want 2 after the bug", info.Path, info.Incarnation, info.LastFailure)
				}
			}
		}
	})
}

// TestHealedWaits makes an actor wait for its restart.
func TestHealedWaits(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{}, quiet)
		for range 3 {
			gamelantest.Crash(a.Node, "dialer", "a bug")
			synctest.Wait()
		}
		if got := state(a, "dialer"); got != supervisor.StateBackingOff {
			t.Fatalf("got %s, want %s", got, supervisor.StateBackingOff)
		}
		gamelantest.Healed(t, a.Node)
		if got := state(a, "dialer"); got != supervisor.StateRunning {
			t.Errorf("got %s, want %s", got, supervisor.StateRunning)
		}
	})
}

func state(n *gamelantest.Node, name string) string {
	for _, info := range n.Inspection().Tree().Snapshot() {
		if info.Name == name {
			return info.State
		}
	}
	return "none"
}

func TestLinkBetween(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b, c := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.SetLinkBetween(a, b, memory.Link{Latency: time.Second})
		for _, to := range []struct {
			node *gamelantest.Node
			slow bool
		}{{b, true}, {c, false}} {
			began := time.Now()
			net.Connect(a, to.node)
			if slow := time.Since(began) >= time.Second; slow != to.slow {
				t.Errorf("to node %d: got %v", to.node.Number, time.Since(began))
			}
		}
	})
}

func TestCutAndPartition(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		net.Partition(a, b)
		if got := net.Cut(a, b); got != 1 {
			t.Errorf("cut: got %d connections, want 1", got)
		}
		gamelantest.Eventually(t, time.Minute, "no connection", func() bool { return len(a.Connections())+len(b.Connections()) == 0 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, b.ID()); err == nil {
			t.Error("dial across a partition: got a connection")
		}
		net.Heal(a, b)
		net.Connect(a, b)
	})
}

// TestSecretIsFixed has the nodes of a test keep their ids.
func TestSecretIsFixed(t *testing.T) {
	if a, b := gamelantest.Secret(1).NodeID(), gamelantest.Secret(1).NodeID(); a != b {
		t.Errorf("got %s and %s, want the same", a, b)
	}
	if a, b := gamelantest.Secret(1).NodeID(), gamelantest.Secret(2).NodeID(); a == b {
		t.Errorf("nodes 1 and 2: got %s for both", a)
	}
}

// quiet is for tests that provoke errors.
var quiet = gamelan.WithLogger(slog.New(slog.DiscardHandler))

// TestClockStep: a step is seen by the clock of its node alone, and by nothing
// that measures.
func TestClockStep(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		began := nodetest.Trunk(a).Now()
		a.Clock.Step(24 * time.Hour)
		time.Sleep(time.Minute)
		if got := time.Until(nodetest.Trunk(a).Wall()); got != 24*time.Hour {
			t.Errorf("got the system's clock ahead by %v, want a day", got)
		}
		if got := nodetest.Trunk(a).Now().Sub(began); got != time.Minute {
			t.Errorf("got %v measured, want a minute", got)
		}
		if got := nodetest.Trunk(a).OnWall(began); !got.Equal(began.Add(24 * time.Hour)) {
			t.Errorf("got %v for the start on the system's clock, want a day after %v", got, began)
		}
		if got := nodetest.Trunk(b).Wall(); !got.Equal(time.Now()) {
			t.Errorf("got %v on the other node's clock, want %v", got, time.Now())
		}
	})
}
