package diskpart

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestDisk: a disk that fills up is noticed within five seconds, and one that has a tenth more room than it needs after a
// minute. One of which the system says nothing is not full.
func TestDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := actor.NewActorSystemWithConfig(actor.Configure(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		var left atomic.Int64
		left.Store(100)
		d := New(Settings{Path: "/var/lib/x", Need: 50, Free: func() (uint64, error) {
			if n := left.Load(); n >= 0 {
				return uint64(n), nil
			}
			return 0, errors.New("no word")
		}})
		part := d.Part()
		root, err := supervisor.Start(sys, "test", part.Actors[0], supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer root.Stop(context.Background(), nil)
		step := func(free int64, wait time.Duration, full bool) {
			t.Helper()
			left.Store(free)
			time.Sleep(wait)
			synctest.Wait()
			if got := part.Degraded(); (len(got) == 1) != full {
				t.Errorf("%d free after %v: got %v, want full: %v", free, wait, got.Texts(), full)
			} else if full && (got[0].Args["path"] != "/var/lib/x" || got[0].Args["need"] != "50" || !strings.HasPrefix(got[0].What, "the disk of /var/lib/x is nearly full: ")) {
				t.Errorf("got %+v, want the path and the need", got[0])
			}
		}
		step(100, 0, false)
		step(49, every, true)
		step(54, rest+soon, true) // hardly less
		step(55, soon, false)
		step(0, every, false) // just changed
		step(0, rest, true)
		step(-1, soon, false)
		step(10, rest+every, true)
		var v models.Node
		if part.Node(&v); v.Disk == nil || v.Disk.Free != 10 || v.Disk.Need != 50 {
			t.Errorf("got %+v, want what is free and needed", v.Disk)
		}
		step(60, rest+soon, false)
		changes, was := 0, false
		for i := range 600 { // up and down by a little, and by much, for 50 minutes
			left.Store(int64(49 + 2*(i%2) + 20*(i/10%2)))
			time.Sleep(every)
			synctest.Wait()
			if is := len(part.Degraded()) == 1; is != was {
				changes, was = changes+1, is
			}
		}
		if changes < 2 || changes > 51 {
			t.Errorf("got %d changes in 50 minutes, want at most one a minute", changes)
		}
	})
	if p := New(Settings{}).Part(); len(p.Actors) != 0 || p.Degraded != nil {
		t.Errorf("got %+v without a disk, want no actors", p)
	}
}
