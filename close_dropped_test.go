package gamelan_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestCloseSaysWhatIsDropped closes a node whose handler is slow, while a peer goes on
// sending: all that was confirmed was handled, or is in the number that the log tells. The
// messages of the peer fit into its credit, so that all of them are read.
func TestCloseSaysWhatIsDropped(t *testing.T) {
	for name, handler := range map[string]func(handle func()) gamelan.Option{
		"function": func(handle func()) gamelan.Option {
			return gamelan.WithMessages(func(context.Context, gamelan.Message) error { handle(); return nil })
		},
		"actor": func(handle func()) gamelan.Option {
			return gamelan.WithHandler(gamelan.Handle(func(gamelan.Received) { handle() }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var handled, confirmed atomic.Uint64
				log := new(logLines)
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))),
					handler(func() { time.Sleep(100 * time.Millisecond); handled.Add(1) }))
				net.Connect(a, b)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				for range 50 {
					go func() {
						for ctx.Err() == nil {
							if out, _ := a.Send(ctx, b.ID(), []byte("a message")); out.Kind == protocol.Confirmed {
								confirmed.Add(1)
							}
							time.Sleep(time.Millisecond)
						}
					}()
				}
				time.Sleep(30 * time.Millisecond)
				time.AfterFunc(30*time.Millisecond, stop)
				if err := b.Close(t.Context()); err != nil {
					t.Error(err)
				}
				dropped := uint64(0)
				warning := regexp.MustCompile(`nobody has handled.* messages=(\d+)`)
				for _, line := range log.lines {
					if m := warning.FindStringSubmatch(line); m != nil {
						dropped, _ = strconv.ParseUint(m[1], 10, 64)
					}
				}
				got := fmt.Sprintf("%d confirmed, %d handled, %d dropped", confirmed.Load(), handled.Load(), dropped)
				t.Log(got)
				if dropped == 0 || handled.Load()+dropped < confirmed.Load() {
					t.Errorf("got %s: want all that were confirmed handled, or in the warning", got)
				}
			})
		})
	}
}

// TestCloseSaysWhatIsDroppedOverTheDHT is TestCloseSaysWhatIsDropped for messages over the DHT
// that nobody stores, with an actor for their type that takes a second for each.
func TestCloseSaysWhatIsDroppedOverTheDHT(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		handled := 0
		log := new(logLines)
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}}
		a := net.Start(cfg)
		b := net.Start(cfg, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))),
			gamelan.WithType(1001, gamelan.Handle(func(dht.Received) { time.Sleep(time.Second); handled++ })))
		net.Connect(a, b)
		const sent = 100
		var wg sync.WaitGroup
		for i := range sent {
			wg.Go(func() {
				r, err := a.DHT().Send(t.Context(), dht.Message{To: dht.Direct{Peer: b.ID()}, Type: 1001, Body: fmt.Append(nil, i)})
				if err != nil || r.Count(protocol.Confirmed) != 1 {
					t.Errorf("message %d: got %v, %v, want it confirmed", i, &r, err)
				}
			})
		}
		wg.Wait()
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		dropped := 0
		warning := regexp.MustCompile(`over the DHT came that nobody has handled.* messages=(\d+)`)
		for _, line := range log.lines {
			if m := warning.FindStringSubmatch(line); m != nil {
				dropped, _ = strconv.Atoi(m[1])
			}
		}
		if dropped == 0 || handled+dropped != sent {
			t.Errorf("got %d handled, %d dropped by the log, want %d together", handled, dropped, sent)
		}
	})
}
