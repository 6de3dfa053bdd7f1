//go:build !nodisk

package crashes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestEveryActorIsRestartedByHand restarts every actor of two nodes, or stops those that only stop, one after the other, while
// messages flow. What was confirmed as kept has been handled, nothing counts as a failure, and the nodes work as before.
func TestEveryActorIsRestartedByHand(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var mu sync.Mutex
		handled := map[string]int{}
		worker := net.Start(gamelan.Config{DataDir: net.DataDir()}, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
			mu.Lock()
			defer mu.Unlock()
			handled[string(m.Body)]++
			return nil
		}))
		from := net.Start(gamelan.Config{DataDir: net.DataDir()})
		net.Connect(from, worker)
		stop := make(chan struct{})
		var sending sync.WaitGroup
		confirmed := map[string]bool{} // guarded by mu
		for p := range 4 {
			sending.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
					body := fmt.Sprintf("%d-%d", p, i)
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					out, err := from.Send(ctx, worker.ID(), []byte(body), gamelan.Kept(), gamelan.Until(30*time.Second))
					cancel()
					if err == nil && out.Kind == protocol.Confirmed {
						mu.Lock()
						confirmed[body] = true
						mu.Unlock()
					}
				}
			})
		}
		restarted, stopped := 0, 0
		for _, n := range []*gamelantest.Node{worker, from} {
			i := n.Inspection()
			root := i.Tree().PID().Id
			for _, info := range i.Tree().Snapshot() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				err := i.Restart(ctx, info.Path)
				switch {
				case err == nil:
					restarted++
				case errors.Is(err, supervisor.ErrOnlyStops):
					if err = i.StopActor(ctx, info.Path); err == nil {
						stopped++
					}
				case errors.Is(err, supervisor.ErrTop) && (info.Path == root || !strings.Contains(info.Path, "/")):
					err = nil
				}
				cancel()
				if err != nil && !errors.Is(err, supervisor.ErrNoActor) && !errors.Is(err, supervisor.ErrActorEnded) { // it was below one that was restarted
					t.Errorf("%s: %v", info.Path, err)
				}
				time.Sleep(3 * time.Second) // until the connection is there again, if it has ended
			}
		}
		close(stop)
		sending.Wait()
		time.Sleep(time.Minute)
		if restarted < 40 || stopped < 1 {
			t.Errorf("got %d restarts and %d stops", restarted, stopped)
		}
		mu.Lock()
		for body := range confirmed {
			if handled[body] == 0 {
				t.Errorf("%s was confirmed as kept, and not handled", body)
			}
		}
		if len(confirmed) < 1000 {
			t.Errorf("got %d confirmed messages", len(confirmed))
		}
		t.Logf("%d restarts, %d stops, %d confirmed, %d handled", restarted, stopped, len(confirmed), len(handled))
		mu.Unlock()
		for _, n := range []*gamelantest.Node{worker, from} {
			for _, info := range n.Inspection().Tree().Snapshot() {
				if info.LastFailure != nil {
					t.Errorf("%s has failed: %v", info.Path, info.LastFailure)
				}
			}
			all, err := n.Inspection().Recorded(inspect.EventQuery{Types: []string{models.ActorRestarted, models.ActorStopped}})
			if err != nil || len(all.Events) < 20 {
				t.Errorf("got %d events, %v", len(all.Events), err)
			}
			if i := slices.IndexFunc(all.Events, func(e models.Event) bool { return e.Data["actor"] == "dht/pinger" }); i < 0 || all.Events[i].What != "dht/pinger was restarted by hand" {
				t.Errorf("got no event of the pinger among %+v", all.Events)
			}
		}
		if out, err := from.Send(t.Context(), worker.ID(), []byte("afterwards"), gamelan.Kept(), gamelan.Until(time.Minute)); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("afterwards: got %v, %v", out, err)
		}
	})
}

// TestActorOfTheProgramByHand: it restarts and stops by hand; once stopped, it is there again when it is registered again.
func TestActorOfTheProgramByHand(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		incarnations := 0
		clumsy := func(*gamelan.Node) actor.Actor {
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					incarnations++
				case string:
					c.Respond(incarnations)
				}
			})
		}
		n := net.Start(gamelan.Config{}, gamelan.WithActor("mine", clumsy))
		ask := func() any {
			got, err := n.Ask(t.Context(), "mine", "how many?")
			if err != nil {
				return err
			}
			return got
		}
		for want := range 10 {
			if got := ask(); got != want+1 {
				t.Fatalf("got %v, want %d", got, want+1)
			}
			if err := n.Inspection().Restart(t.Context(), "extensions/mine"); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.Inspection().StopActor(t.Context(), "extensions/mine"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, ok := ask().(error); !ok {
			t.Errorf("after the stop: got %v, want an error", got)
		}
		if _, err := n.Spawn(t.Context(), "mine", clumsy); err != nil {
			t.Errorf("registered again: %v", err)
		}
		if got := ask(); got != 12 {
			t.Errorf("registered again: got %v", got)
		}
		for path, want := range map[string]error{"dht/pinger": supervisor.ErrNeeded, "nobody": supervisor.ErrNoActor} {
			if err := n.Inspection().StopActor(t.Context(), path); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", path, err, want)
			}
		}
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Inspection().Restart(t.Context(), "dht/pinger"); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("after the end: got %v", err)
		}
	})
}
