package gamelan_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestBubbleClockBans: a ban lasts as long as it was made for, whatever is done to
// the system's clock meanwhile, and its end is shown on that clock.
func TestBubbleClockBans(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "a test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		a.Clock.Step(by)
		banned := func(when string) {
			t.Helper()
			if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, actors.ErrBanned) {
				t.Errorf("%s: got %v, want the peer banned", when, err)
			}
		}
		banned("at once")
		time.Sleep(15 * time.Second)
		banned("once the step is noticed")
		p, _ := a.Peers().Get(b.ID())
		if left := p.BannedUntil.Sub(nodetest.Trunk(a).Wall()); left > 50*time.Minute || left < 49*time.Minute {
			t.Errorf("got a ban shown that ends in %v, want 49 minutes and 45 s", left)
		}
		time.Sleep(49 * time.Minute)
		banned("a minute before its end")
		time.Sleep(time.Minute)
		if _, _, banned := nodetest.Trunk(a).Ban(b.ID()); banned {
			t.Error("a minute after its end: got the ban, want none")
		}
		a.Clock.Step(-by) // so that the dates of claims fit
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Errorf("after the ban: got %v, want a connection", err)
		}
	})
}

// TestBubbleClockConnections: what is connected stays so and works, and what is
// shown has the time of day as it is set now.
func TestBubbleClockConnections(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		time.Sleep(10 * time.Minute)
		before, _ := a.Connection(b.ID())
		a.Clock.Step(by)
		for i := range 5 {
			if out, err := a.Send(t.Context(), b.ID(), []byte("hello")); err != nil || out.Kind != protocol.Confirmed {
				t.Errorf("message %d: got %v, %v, want confirmed", i, out, err)
			}
			time.Sleep(10 * time.Minute)
		}
		if heard.Len() != 5 {
			t.Errorf("got %d messages heard, want 5", heard.Len())
		}
		after, ok := a.Connection(b.ID())
		if !ok || after != before {
			t.Fatal("got another connection, want the one from before")
		}
		if age := nodetest.Trunk(a).Now().Sub(after.Since); age < time.Hour || age > time.Hour+time.Minute {
			t.Errorf("got a connection of age %v, want an hour", age)
		}
	})
}

// TestBubbleClockClaims: a node that starts with a clock two days ahead is refused by
// others, and is not any more seconds after its clock was put right.
func TestBubbleClockClaims(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		clock := gamelantest.NewClock()
		clock.Step(48 * time.Hour)
		a, b := net.Start(gamelan.Config{}, gamelan.WithRuntime(clock)), net.Start(gamelan.Config{})
		net.Introduce(b, a)
		if _, err := b.Dial(t.Context(), a.ID()); err == nil || !strings.Contains(err.Error(), identity.ErrClaimFromFuture.Error()) {
			t.Fatalf("got %v, want a claim of the future refused", err)
		}
		clock.Step(-48 * time.Hour)
		time.Sleep(3 * time.Hour) // whatever ban there was is over
		if _, err := b.Dial(t.Context(), a.ID()); err != nil {
			t.Errorf("after the clock was put right: got %v, want a connection", err)
		}
	})
}

// TestBubbleClockEvent: a step is said once.
func TestBubbleClockEvent(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		var steps []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e := range a.Events(t.Context()) {
				if set, ok := e.Value.(actors.ClockSet); ok {
					steps = append(steps, set.By.Round(time.Second))
				}
			}
		}()
		time.Sleep(time.Minute)
		a.Clock.Step(by)
		time.Sleep(time.Minute)
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		<-done
		if len(steps) != 1 || steps[0] != by {
			t.Errorf("got steps %v, want one of %v", steps, by)
		}
	})
}

// TestBubbleClockShown: every time of day that the API shows is one of the
// system's clock as it is set now.
func TestBubbleClockShown(t *testing.T) {
	gamelantest.ClockSteps(t, func(t *testing.T, by time.Duration) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}), net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
		a.Clock.Step(by)
		time.Sleep(time.Minute)
		b.Clock.Step(by) // so that the dates of claims fit
		net.Connect(a, b)
		if _, err := a.DHT().Send(t.Context(), dht.Message{To: dht.Direct{Peer: b.ID()}, Type: 1000}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		handler, wall, seen := inspect.Handler(a.Inspection().Options), nodetest.Trunk(a).Wall(), 0
		for _, path := range []string{"node", "peers", "connections", "dht", "ledger", "actors"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/v1/"+path, nil)
			r.Host = "localhost"
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK && path != "ledger" {
				t.Errorf("%s: got status %d: %s", path, w.Code, w.Body)
			}
			for _, text := range regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*`).FindAllString(w.Body.String(), -1) {
				at, err := time.Parse(time.RFC3339, text)
				if err != nil {
					continue
				}
				seen++
				if d := wall.Sub(at); d < -time.Minute || d > 10*time.Minute {
					t.Errorf("%s: got %v shown, want a time near %v", path, at, wall)
				}
			}
		}
		if seen < 10 {
			t.Errorf("got %d times shown, want more", seen)
		}
	})
}
