package gamelan_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// outcomesSection is the section "outcomes" of a node.
type outcomesSection struct {
	Sending, Senders, Open, Forgotten int
	Bytes                             int64
}

func outcomesOf(t *testing.T, n *gamelantest.Node) (s outcomesSection) {
	t.Helper()
	v, err := n.Inspection().Sections.Value(t.Context(), "outcomes")
	if err == nil {
		var b []byte
		if b, err = json.Marshal(v); err == nil {
			err = json.Unmarshal(b, &s)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heapInUse is the least of three measurements: what pools hold goes with the second collection.
func heapInUse() uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc)
	}
	return least
}

// TestOutcomesForADay: over 24 hours (5 without GAMELAN_LONG) a node's memory does not grow. With senders that start again each hour it remembers
// one book for each start, and nothing of what was handled; a day later it remembers nothing.
func TestOutcomesForADay(t *testing.T) {
	hours := 5
	if os.Getenv("GAMELAN_LONG") != "" {
		hours = 24
	}
	for name, opts := range map[string][]gamelan.Option{"handler": nil, "inbox": {gamelan.WithInbox(gamelan.InboxConfig{})}, "senders that stay": nil} {
		t.Run(name, func(t *testing.T) {
			stay := name == "senders that stay"
			gamelantest.Bubble(t, func(t *testing.T) {
				const senders, each = 3, 6
				net := gamelantest.NewNetwork(t)
				var got topicLog
				b := net.Start(gamelan.Config{Listen: []string{"/memory/90"}}, append(opts, gamelan.WithMessages(got.on("")), gamelan.WithMessages(got.on("jobs"), gamelan.On("jobs")))...)
				var heap [2]uint64
				var now [senders]*gamelantest.Node
				for hour := range hours {
					for i := range now {
						if stay && hour > 0 {
							break
						}
						now[i] = net.Start(gamelan.Config{Secret: gamelantest.Secret(100 + i), Listen: []string{fmt.Sprintf("/memory/%d", 100+i)}})
						net.Connect(now[i], b)
					}
					for m := range each {
						for _, a := range now {
							confirmed(t, a, b, fmt.Sprint(m), gamelan.Handled())
							confirmed(t, a, b, fmt.Sprint(m), gamelan.To("jobs"))
							confirmed(t, b, b, fmt.Sprint(m), gamelan.To("jobs"))
						}
						time.Sleep(time.Hour / each)
					}
					for _, a := range now {
						if s := outcomesOf(t, a); s.Sending != 0 {
							t.Errorf("hour %d: got %+v of a sender", hour, s)
						}
						if !stay {
							a.Close(t.Context())
						}
					}
					got.clear()
					if hour == 3 || hour == hours-1 {
						heap[hour/(hours-1)] = heapInUse()
					}
				}
				s := outcomesOf(t, b)
				if s.Sending != 0 || s.Open != 0 || s.Forgotten != 0 || s.Senders > senders*hours+1 || s.Bytes > 64<<10 {
					t.Errorf("got %+v after a day", s)
				}
				t.Logf("after a day: %+v; heap %d KiB, %d KiB at hour 3", s, heap[1]>>10, heap[0]>>10)
				if stay && heap[1] > heap[0]+1<<20 { // a closed node of the network keeps some memory
					t.Errorf("got a heap of %d KiB after a day, and %d KiB at hour 3", heap[1]>>10, heap[0]>>10)
				}
				time.Sleep(26 * time.Hour)
				if s := outcomesOf(t, b); s.Senders != 0 || s.Bytes != 0 {
					t.Errorf("got %+v another day later, want nothing", s)
				}
			})
		})
	}
}
