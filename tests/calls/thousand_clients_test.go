package calls

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestThousandClients: clients that call a server each second are all served at once, also beside one that does not read: it has items, answers
// and requests wait. No memory grows. With GAMELAN_LONG there are 1,000 of them in all, for ten minutes, as many as have sessions by default.
//
// conforms: V 37
func TestThousandClients(t *testing.T) {
	clients, seconds := 40, 60
	if os.Getenv("GAMELAN_LONG") != "" {
		clients, seconds = 999, 600
	}
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		service := new(kit.Service)
		server := net.Start(gamelan.Config{MaxInbound: clients + 10}, gamelan.WithService(service.Service()))
		start := func() *rpc.Client {
			n := net.Start(gamelan.Config{})
			net.Connect(n, server)
			return n.RPC().Client(server.ID(), kit.TestService)
		}
		deaf := start()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				for range rpc.Items[kit.Number, kit.Blob](ctx, deaf, kit.Endless, wrapperspb.UInt64(10_000)) {
					<-ctx.Done()
				}
			})
			wg.Go(func() {
				_ = rpc.Exchange(ctx, deaf, kit.Ignore, func(d *rpc.Duplex[kit.Blob, kit.Text]) error {
					for d.Send(wrapperspb.Bytes(make([]byte, 10_000))) == nil {
					}
					return nil
				})
			})
		}
		heap := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc) / (1 << 20)
		}
		var mu sync.Mutex
		var longest time.Duration
		calls := 0
		for range clients {
			c := start()
			wg.Go(func() {
				for range seconds {
					began := time.Now()
					_, err := rpc.Call[kit.Text, kit.Text](t.Context(), c, kit.Greet, wrapperspb.String("Ann"))
					items := 0
					if err == nil {
						for _, err = range rpc.Items[kit.Number, kit.Number](t.Context(), c, kit.Count, wrapperspb.UInt64(3)) {
							items++
						}
					}
					if err != nil || items != 3 {
						t.Errorf("got %d items, %v", items, err)
						return
					}
					mu.Lock()
					calls += 2
					longest = max(longest, time.Since(began))
					mu.Unlock()
					time.Sleep(time.Second)
				}
			})
		}
		time.Sleep(time.Duration(seconds) * time.Second / 4)
		first := heap()
		time.Sleep(time.Duration(seconds) * time.Second / 2)
		last := heap()
		time.Sleep(time.Duration(seconds) * time.Second / 3)
		cancel()
		wg.Wait()
		t.Logf("%d clients, %d calls; the longest two took %v; heap %.1f MB, later %.1f MB", clients, calls, longest, first, last)
		if want := 2 * clients * seconds; calls != want || longest > 100*time.Millisecond {
			t.Errorf("got %d calls of %d, the longest two took %v", calls, want, longest)
		}
		if last > first*1.3+16 { // timers that were stopped go later
			t.Errorf("heap grows from %.1f to %.1f MB", first, last)
		}
	})
}
