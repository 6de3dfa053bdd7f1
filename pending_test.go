package gamelan_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestPendingBeforeTheEnd asks for results that are not there yet.
func TestPendingBeforeTheEnd(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Connect(a, b)
		net.Partition(a, b)
		plain, err := a.Submit(t.Context(), b.ID(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		letter, err := a.DHT().Submit(t.Context(), dht.Message{To: dht.Direct{Peer: b.ID()}, Type: 1001, Body: []byte("hello")})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-plain.Done():
			t.Errorf("plain: got done behind a partition")
		case <-letter.Done():
			t.Errorf("DHT: got done behind a partition")
		default:
		}
		if got := plain.Result(); got != (gamelan.Outcome{}) {
			t.Errorf("plain: got %v, want nothing yet", got)
		}
		if got := letter.Result(); got.Open() != 1 || got.Ended() {
			t.Errorf("DHT: got %v, want one open copy", &got)
		}

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := plain.WaitFor(short, func(o gamelan.Outcome) bool { return o.Kind != 0 }); got.Kind != 0 {
			t.Errorf("plain: got %v within a second, want nothing", got)
		}
		if got := letter.WaitFor(short, dht.ConfirmedBy(1)); got.Open() != 1 {
			t.Errorf("DHT: got %v within a second, want one open copy", &got)
		}
		net.Heal(a, b) // neither has been withdrawn
		if got := plain.WaitFor(t.Context(), func(o gamelan.Outcome) bool { return o.Kind != 0 }); got.Kind != protocol.Confirmed {
			t.Errorf("plain: got %v, want confirmed", got)
		}
		if got := letter.WaitFor(t.Context(), dht.AnyOutcome); got.Count(protocol.Confirmed) != 1 {
			t.Errorf("DHT: got %v, want confirmed", &got)
		}
		<-plain.Done()
		<-letter.Done()
	})
}

// TestPendingEndsEarly accepts messages that have their end before they are
// returned: one without anybody to go to, and one that is too long.
func TestPendingEndsEarly(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		letter, err := a.DHT().Submit(t.Context(), dht.Message{To: dht.Flood{}, Type: 1001})
		if err != nil {
			t.Fatal(err)
		}
		<-letter.Done()
		if got := letter.Result(); !got.Ended() || len(got.Copies) != 0 {
			t.Errorf("got %v, want the end without a copy", &got)
		}
		plain, err := a.Submit(t.Context(), b.ID(), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-plain.Done()
		wantOutcome(t, "to nobody", plain.Result(), nil, protocol.Failed, protocol.NoPeer)
	})
}
