package attacks

import (
	"runtime"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
)

// TestControlPortFloods has a control port that sends events without an end, small ones and
// large ones: the node goes on, and its memory does not grow with what was sent.
func TestControlPortFloods(t *testing.T) {
	for name, event := range map[string]string{
		"small events": strings.Repeat("650 NOTHING\r\n", 1000),
		"large events": "650 NOTHING " + strings.Repeat("x", 500_000) + "\r\n",
		"states":       strings.Repeat("650 STATUS_CLIENT NOTICE CIRCUIT_NOT_ESTABLISHED\r\n650 STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED\r\n", 500),
	} {
		t.Run(name, func(t *testing.T) {
			two := newStandIn(t, 2)
			startAll(t, two...)
			two[0].know(t, two[1])
			two[0].confirm(t, two[1])
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			sent := 0
			for range 200 { // 2.4 to 100 MB
				two[0].control.Say(event)
				sent += len(event)
			}
			two[0].confirm(t, two[1])
			two[1].confirm(t, two[0])
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("the heap has grown by %d bytes after %d bytes of events, want less than 32 MiB", grown, sent)
			}
			two[0].control.Drop()
			two[0].until(t, "a new connection", func(s gamelan.TorStatus) bool { return len(two[0].control.Heard("ADD_ONION")) == 2 })
			two[0].published(t)
		})
	}
}
