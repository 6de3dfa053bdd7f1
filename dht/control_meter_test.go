package dht_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// TestControlMeter takes Joins up to the limits of a source, and all other messages.
func TestControlMeter(t *testing.T) {
	encoded := func(kind wire.MessageType) []byte {
		e := wire.Envelope{Header: wire.Header{Version: 2, Type: kind}}
		return e.Append(nil)
	}
	var m dht.ControlMeter[string]
	now := time.Unix(1_000, 0)
	takes := func(source string, n int) (taken int) {
		for range n {
			err := m.Take(now, source, false, encoded(wire.TypeJoin))
			if err != nil && !errors.Is(err, dht.ErrControls) {
				t.Fatalf("got %v, want an ErrControls", err)
			}
			if err == nil {
				taken++
			}
		}
		return taken
	}
	if got := takes("A", 2*dht.ControlsPerSecond); got != dht.ControlsPerSecond {
		t.Errorf("in a second: got %d taken, want %d", got, dht.ControlsPerSecond)
	}
	for _, kind := range []wire.MessageType{wire.TypeDomain, wire.TypeStoredRequest, wire.TypeStoredMessages} {
		if err := m.Take(now, "A", false, encoded(kind)); err != nil {
			t.Errorf("%v: got %v, want it taken", kind, err)
		}
	}
	for _, kind := range []wire.MessageType{wire.TypeDiscovery, wire.TypeDiscoveryResponse} {
		if err := m.Take(now, "A", false, encoded(kind)); err == nil {
			t.Errorf("%v: got it taken, want it refused", kind)
		}
	}
	if got := takes("B", 1); got != 1 {
		t.Errorf("got %d taken of another source, want 1", got)
	}
	total := dht.ControlsPerSecond
	for range 30 {
		now = now.Add(time.Second)
		total += takes("A", 2*dht.ControlsPerSecond)
	}
	if total != dht.ControlsPerMinute {
		t.Errorf("in 31 s: got %d taken, want %d", total, dht.ControlsPerMinute)
	}
	now = now.Add(time.Minute)
	if got := takes("A", 1); got != 1 {
		t.Errorf("a minute later: got %d taken, want 1", got)
	}
}

// TestControlMeterOfExemptSources has somebody without an address connect again and again,
// with a new key each time: all such sources together have a limit, but for a few messages of
// each.
func TestControlMeterOfExemptSources(t *testing.T) {
	e := wire.Envelope{Header: wire.Header{Version: 2, Type: wire.TypeJoin}}
	join := e.Append(nil)
	var m dht.ControlMeter[int]
	now := time.Unix(1_000, 0)
	taken := func(key, n int, exempt bool) (taken int) {
		for range n {
			if m.Take(now, key, exempt, join) == nil {
				taken++
			}
		}
		return taken
	}
	const keys, each = 100, dht.ControlsPerSecond
	total := 0
	for key := range keys {
		total += taken(key, each, true)
	}
	if want := dht.ControlsTogether*dht.ControlsPerSecond + keys*dht.ControlsAlone; total != want {
		t.Errorf("in a second: got %d of %d taken with %d keys, want %d", total, keys*each, keys, want)
	}
	if got := taken(keys, 2*dht.ControlsAlone, true); got != dht.ControlsAlone {
		t.Errorf("of one more source: got %d taken, want %d", got, dht.ControlsAlone)
	}
	if got := taken(-1, each, false); got != each {
		t.Errorf("of a source with an address: got %d taken, want %d", got, each)
	}
	for second := range 40 {
		now = now.Add(time.Second)
		for key := range 5 {
			total += taken(1_000+5*second+key, each, true)
		}
	}
	if most := dht.ControlsTogether*dht.ControlsPerMinute + (keys+1+5*40)*dht.ControlsAlone; total > most || total < dht.ControlsTogether*dht.ControlsPerMinute {
		t.Errorf("in 41 s: got %d taken, want at most %d", total, most)
	}
}
