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
			err := m.Take(now, source, encoded(wire.TypeJoin))
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
		if err := m.Take(now, "A", encoded(kind)); err != nil {
			t.Errorf("%v: got %v, want it taken", kind, err)
		}
	}
	for _, kind := range []wire.MessageType{wire.TypeDiscovery, wire.TypeDiscoveryResponse} {
		if err := m.Take(now, "A", encoded(kind)); err == nil {
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
