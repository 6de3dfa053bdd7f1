package gamelan_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestDrainEndsWishes: dials that were asked for before a node drains, and wait, make no connection after it. What
// the doctor says of a node that drains is that.
func TestDrainEndsWishes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{MaxDials: 1})
		away, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, away)
		net.Introduce(a, b)
		net.Partition(a, away)
		for _, to := range []*gamelantest.Node{away, b} {
			defer a.Protect(to.ID(), "test")()
			time.Sleep(100 * time.Millisecond)
		}
		a.Drain()
		time.Sleep(10 * time.Minute)
		if got := a.Connections(); len(got) != 0 {
			t.Errorf("got the connections %v", got)
		}
		end, _ := examined(t, a.Node, "")
		wantCause(t, "draining", end, codes.Draining)
		end, _ = examined(t, a.Node, b.PublicKey().String())
		wantCause(t, "draining, of a peer", end, codes.Draining)
		a.Undrain()
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Errorf("afterwards: got %v", err)
		}
	})
}

// TestDrain: a node that drains makes no new connections, in either direction, and works on over those that it has; when that ends, it
// connects to others again.
func TestDrain(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		b, c := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New)), net.Start(gamelan.Config{})
		net.Connect(a, b)
		net.Introduce(a, c)
		net.Introduce(c, a)
		a.Drain()
		since, ok := a.Draining()
		a.Drain() // once more changes nothing
		time.Sleep(time.Hour)
		if again, still := a.Draining(); !ok || !still || !again.Equal(since) || time.Since(since) != time.Hour {
			t.Errorf("got %v %v, then %v %v", since, ok, again, still)
		}
		if _, ok := a.Connection(c.ID()); ok {
			t.Error("it has a new connection")
		}
		if _, err := a.Dial(t.Context(), c.ID()); !errors.Is(err, gamelan.ErrDraining) {
			t.Errorf("dial: got %v", err)
		}
		if _, err := c.Dial(t.Context(), a.ID()); err == nil {
			t.Error("it was dialled")
		}
		for from, to := range map[*gamelantest.Node]*gamelantest.Node{a: b, b: a} {
			if out, err := from.Send(t.Context(), to.ID(), []byte("goes on")); err != nil || out.Kind != protocol.Confirmed {
				t.Errorf("over the connection that it has: got %v, %v", out, err)
			}
		}
		h := a.Health(t.Context())
		if h.State != models.HealthDegraded || len(h.Reasons) == 0 || h.Reasons[0].Code != codes.Draining.Name {
			t.Errorf("got the health %+v", h)
		}
		a.Undrain()
		if _, ok := a.Draining(); ok {
			t.Error("it still drains")
		}
		time.Sleep(10 * time.Minute)
		if _, err := c.Dial(t.Context(), a.ID()); err != nil {
			t.Errorf("afterwards: got %v", err)
		}
		if h := a.Health(t.Context()); h.State != models.HealthOK {
			t.Errorf("afterwards: got the health %+v", h)
		}
		a.Drain()
		if err := a.Close(t.Context()); err != nil {
			t.Errorf("stop: got %v", err)
		}
	})
}

// TestDrainTriesNobody: a node that drains connects to nobody for a look either, and admits no liveness check.
func TestDrainTriesNobody(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		trunk := nodetest.Trunk(a).Trunk
		const token = "0123456789abcdef"
		trunk.ExpectProbe(token, trunk.Now().Add(time.Hour))
		check := func() error {
			c, err := net.Transport().Dial(t.Context(), a.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _, err = liveness.Ask(c, token, time.Second)
			return err
		}
		look := func() (raw, proof error) {
			c, raw := trunk.DialRaw(t.Context(), b.Addr)
			if raw == nil {
				c.Close()
			}
			_, proof = trunk.Probe(t.Context(), b.Addr, b.PublicKey(), time.Second)
			return raw, proof
		}
		a.Drain()
		if raw, proof := look(); !errors.Is(raw, gamelan.ErrDraining) || !errors.Is(proof, gamelan.ErrDraining) {
			t.Errorf("while it drains: got %v and %v, want %v", raw, proof, gamelan.ErrDraining)
		}
		if err := check(); err == nil {
			t.Error("while it drains, it has answered a liveness check")
		}
		a.Undrain()
		if raw, proof := look(); raw != nil || proof != nil {
			t.Errorf("afterwards: got %v and %v", raw, proof)
		}
		if err := check(); err != nil {
			t.Errorf("a liveness check afterwards: got %v", err)
		}
	})
}

// TestDrainOnReadyz: while the node drains, /readyz has the status 503 and the code that says why; after drain --off it has
// 200 again. /healthz has 200 all the time: a restart would not help.
func TestDrainOnReadyz(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		handler, drain := inspect.Handler(a.Inspection().Options), control.Actions(a.Node, control.Options{}).Verbs["node"]["drain"].Do
		says := func(when, path string, status int, reason string) {
			t.Helper()
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = "localhost"
			handler.ServeHTTP(w, r)
			var answer inspect.HealthReport
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != status {
				t.Errorf("%s: %s: got %d %s, want %d", when, path, w.Code, w.Body, status)
			}
			if got := answer.Degraded; reason == "" && len(got) > 0 || reason != "" && (len(got) == 0 || got[0].Code != reason) {
				t.Errorf("%s: %s: got %s, want the reason %q", when, path, w.Body, reason)
			}
		}
		says("before", "/readyz", http.StatusOK, "")
		for range 2 {
			if _, err := drain(t.Context(), url.Values{}, nil); err != nil {
				t.Fatal(err)
			}
			says("while it drains", "/readyz", http.StatusServiceUnavailable, codes.Draining.Name)
			says("while it drains", "/healthz", http.StatusOK, codes.Draining.Name)
			time.Sleep(time.Hour)
			says("an hour later", "/readyz", http.StatusServiceUnavailable, codes.Draining.Name)
			if _, err := drain(t.Context(), url.Values{"off": {"true"}}, nil); err != nil {
				t.Fatal(err)
			}
			says("afterwards", "/readyz", http.StatusOK, "")
		}
	})
}
