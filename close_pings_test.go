package gamelan_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// A stop does not wait for answers to pings: nobody promised them, and a peer that went away
// first, as in a stop of many containers, gives none.
func TestCloseWithUnansweredPings(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		if _, err := a.DHT().Ping(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		net.Partition(a, b)
		for range 3 {
			go a.DHT().Ping(context.Background(), b.ID())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Errorf("got %v, want a stop in order", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the stop took %v, want it short", took)
		}
		net.HealAll()
	})
}
