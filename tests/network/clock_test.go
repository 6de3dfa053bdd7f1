package network

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleClockCalls steps both sides' clocks under calls: one that is to last
// three seconds does, and one that may last ten ends after ten.
func TestBubbleClockCalls(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}, kit.Quiet), net.Start(gamelan.Config{}, kit.Quiet, gamelan.WithService(new(kit.Service).Service()))
		net.Connect(a, b)
		client := a.RPC().Client(b.ID(), kit.TestService)
		call := func(ms uint64, limit time.Duration) (took time.Duration, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			go func() {
				time.Sleep(time.Second)
				a.Clock.Step(by)
				b.Clock.Step(by)
			}()
			_, err = rpc.Call[kit.Number, kit.Text](ctx, client, kit.Wait, wrapperspb.UInt64(ms))
			return time.Since(began), err
		}
		if took, err := call(3000, 10*time.Second); err != nil || took > 5*time.Second {
			t.Errorf("a call of 3 s: got %v after %v, want it answered", err, took)
		}
		if took, err := call(60_000, 10*time.Second); !errors.Is(err, context.DeadlineExceeded) || took < 10*time.Second || took > 11*time.Second {
			t.Errorf("a call of a minute with a limit of 10 s: got %v after %v", err, took)
		}
	})
}

// TestBubbleClockInbox steps the clock of a node with messages in its inbox: they
// keep their order, also over a restart, and what a listener holds, and is not at, goes
// to another one after its minute.
func TestBubbleClockInbox(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		net := gamelantest.NewNetwork(t)
		dir := t.TempDir()
		cfg := gamelan.Config{DataDir: dir}
		from, to := net.Start(gamelan.Config{}), net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(from, to)
		kit.Enqueue(t, from, to, "done soon")
		kit.Enqueue(t, from, to, "first")
		time.Sleep(time.Second)
		to.Clock.Step(by)
		kit.Enqueue(t, from, to, "second")
		time.Sleep(time.Second)

		for m, err := range to.Inbox().Listen(t.Context(), gamelan.ListenOptions{}) {
			if err == nil && string(m.Body) == "done soon" { // so the listener gets two at once
				to.Inbox().Ack(t.Context(), m.Seq)
				continue
			}
			if err != nil || string(m.Body) != "first" {
				t.Fatalf("got %q, %v, want the first", m.Body, err)
			}
			began := time.Now()
			to.Clock.Step(by)
			for m := range to.Inbox().Listen(t.Context(), gamelan.ListenOptions{}) {
				if string(m.Body) != "second" {
					t.Errorf("another listener had %q, which the first is at", m.Body)
				}
				break
			}
			if took := time.Since(began); took < inboxpart.HandTimeout-2*time.Second || took > inboxpart.HandTimeout+time.Second {
				t.Errorf("another listener had it after %v, want about %v", took, inboxpart.HandTimeout)
			}
			break
		}
		to.Close(context.WithoutCancel(t.Context()))
		again := net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}))
		kit.WantBodies(t, "after a restart", kit.Take(t, again, 2, 2, gamelan.ListenOptions{}), []string{"first", "second"})
	})
}
