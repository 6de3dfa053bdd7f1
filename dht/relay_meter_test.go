package dht_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/dht"
)

// TestRelayMeterScript runs testdata/relay_bytes.txt on a meter: "take SOURCE N"
// takes a message of N bytes.
func TestRelayMeterScript(t *testing.T) {
	c, m := newClock(), dht.NewRelayMeter[string](0)
	datadriven.RunTest(t, "testdata/relay_bytes.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "new":
			var limit int64
			d.ScanArgs(t, "limit", &limit)
			c, m = newClock(), dht.NewRelayMeter[string](limit)
			return "ready"
		case "clock":
			return c.set(t, d)
		case "take":
			n, err := strconv.Atoi(d.CmdArgs[1].Key)
			if err != nil {
				t.Fatal(err)
			}
			err = m.Take(c.now, d.CmdArgs[0].Key, n)
			if err != nil && !errors.Is(err, dht.ErrRelayBytes) {
				t.Errorf("got %v, want an ErrRelayBytes", err)
			}
			return fmt.Sprint(err)
		case "stats":
			return fmt.Sprintf("%+v", m.Stats())
		}
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	})
}

// TestRelayMeterIsBounded has more sources heard of in one second than are
// remembered.
func TestRelayMeterIsBounded(t *testing.T) {
	m := dht.NewRelayMeter[int](10)
	now := time.Unix(0, 0)
	for i := range 20_000 {
		m.Take(now, i, 10)
	}
	if got := m.Stats().Sources; got != 4096 {
		t.Errorf("got %d sources, want 4096", got)
	}
	if m.Take(now, 19_999, 1) == nil {
		t.Error("got the last source forgotten, want those heard of first")
	}
}

// TestRelayMeterOfManyShards takes from one source in many goroutines: together
// they get what one would.
func TestRelayMeterOfManyShards(t *testing.T) {
	const limit = 1000
	m, now := dht.NewRelayMeter[string](limit), time.Unix(0, 0)
	var passed atomic.Int64
	var shards sync.WaitGroup
	for range 8 {
		shards.Go(func() {
			for range limit {
				if m.Take(now, "A", 1) == nil {
					passed.Add(1)
				}
			}
		})
	}
	shards.Wait()
	if got := passed.Load(); got != limit {
		t.Errorf("got %d bytes relayed, want %d", got, limit)
	}
}
