package kad_test

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// When the system's clock of a client steps, nothing happens to its contacts and to values
// without an end. A signed value has ended when the clock says so.
//
// conforms: kad 67
func TestClientClock(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		clock := gamelantest.NewClock()
		l := newLab(t, kad.HubOptions{Delay: time.Millisecond}, kad.StandaloneOptions{Runtime: clock})
		for range 5 {
			l.add(nil)
		}
		time.Sleep(time.Minute)
		fixed, err := l.clients[1].Put(t.Context(), []byte("fixed"))
		if err != nil {
			t.Fatal(err)
		}
		_, signer, _ := ed25519.GenerateKey(nil)
		signed, err := l.clients[1].PutSigned(t.Context(), signer, kad.Value{Body: []byte("signed"), TTL: 12 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(by)
		time.Sleep(time.Second)
		reader := l.add(nil)
		time.Sleep(time.Minute)
		if reader.State().String() != "ready" || reader.View().Len() < 3 {
			t.Errorf("got a new client that is %v with %d contacts", reader.State(), reader.View().Len())
		}
		if r, err := reader.Get(t.Context(), fixed.Key); err != nil || string(r.Value) != "fixed" {
			t.Errorf("got %v, %v, want the immutable value", r, err)
		}
		r, err := reader.Get(t.Context(), signed.Key)
		if by > 12*time.Hour {
			if !errors.Is(err, kad.ErrNotFound) {
				t.Errorf("got %v, %v, want that the signed value has ended", r, err)
			}
		} else if err != nil || string(r.Value) != "signed" {
			t.Errorf("got %v, %v, want the signed value", r, err)
		}
		for _, k := range reader.Known() {
			if age := clock.Wall().Sub(k.Answered); age < 0 || age > 5*time.Minute {
				t.Errorf("got a contact that answered %v ago", age)
			}
		}
	})
}

// A value that was signed while the clock of its publisher was far ahead is signed again when
// the clock is right, and the same seq may be published again.
func TestSignedWhileTheClockIsAhead(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{Delay: time.Millisecond}, kad.StandaloneOptions{})
		for range 4 {
			l.add(nil)
		}
		clock := gamelantest.NewClock()
		clock.Step(30 * 365 * 24 * time.Hour)
		host, err := kad.NewStandalone(kad.StandaloneOptions{Runtime: clock, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close(t.Context())
		ahead, err := kad.Start(t.Context(), host, kad.Config{
			Name: "ahead", PublicKey: kad.MemoryKey(99), Networks: []kad.Network{l.hub.Network()}, Bootstrap: l.clients[0].Addresses(),
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, signer, _ := ed25519.GenerateKey(nil)
		_, fixed, _ := ed25519.GenerateKey(nil)
		value := kad.Value{Body: []byte("signed"), TTL: 24 * time.Hour, Seq: 7}
		own, err := ahead.PutSigned(t.Context(), signer, value)
		t.Log("published while the clock is ahead:", err)
		if _, err := ahead.PutSigned(t.Context(), fixed, value); err != nil {
			t.Log(err)
		}
		clock.Step(-30 * 365 * 24 * time.Hour)
		if _, err := ahead.PutSigned(t.Context(), fixed, value); err != nil {
			t.Errorf("publish the same seq again: %v", err)
		}
		time.Sleep(24 * time.Hour)
		reader := l.add(nil)
		time.Sleep(time.Minute)
		if r, err := reader.Get(t.Context(), own.Key); err != nil || string(r.Value) != "signed" {
			t.Errorf("got %v, %v, want the signed value", r, err)
		}
	})
}
