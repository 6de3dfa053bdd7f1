package network

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/metrics"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// hears is a handler that accepts everything.
func hears(context.Context, gamelan.Message) error { return nil }

// series returns the series of a node's metrics with their values, by name and labels.
func series(t *testing.T, n *gamelantest.Node) map[string]float64 {
	t.Helper()
	list, err := inspect.Samples(t.Context(), n.Inspection().Options)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, s := range list {
		name := s.Metric.Name
		for i, l := range s.Metric.Labels {
			if s.Labels[i] != "" && !slices.Contains(l.Values, s.Labels[i]) {
				t.Errorf("%s: the label %s has the value %q, which it should not have", name, l.Name, s.Labels[i])
			}
			name += fmt.Sprintf(" %s=%s", l.Name, s.Labels[i])
		}
		value := s.Value
		if s.Histogram != nil {
			value = float64(s.Histogram.Total())
		}
		if _, twice := all[name]; twice {
			t.Errorf("got %s twice", name)
		}
		all[name] = value
	}
	return all
}

// scraped returns what Prometheus reads.
func scraped(t *testing.T, n *gamelantest.Node) string {
	t.Helper()
	w := httptest.NewRecorder()
	if metrics.Handler(n.Inspection().Options, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)); w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestBubbleMetrics: 200 peers and their messages make no more series than two, but for what has not happened
// with two. The figures are those of what was done. Names that peers have chosen are in no label.
func TestBubbleMetrics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const peers, evil, topic = 200, `evil"} 1`, "evil-topic"
		net := gamelantest.NewNetwork(t)
		hub := net.Start(gamelan.Config{}, gamelan.WithMessages(hears), gamelan.WithMessages(hears, gamelan.On(topic)))
		var before map[string]float64
		for i := range peers {
			n := net.Start(gamelan.Config{NoDHT: true, UserAgent: evil, Floor: gamelan.NoFloor}, gamelan.WithMessages(hears))
			net.Connect(n, hub)
			for _, to := range [][2]*gamelantest.Node{{n, hub}, {hub, n}} {
				if o, err := to[0].Send(t.Context(), to[1].ID(), []byte("hello")); err != nil || o.AsError() != nil {
					t.Fatal(o, err)
				}
			}
			if o, err := n.Send(t.Context(), hub.ID(), nil, gamelan.To(topic)); err != nil || o.AsError() != nil {
				t.Fatal(o, err)
			}
			if i == 1 {
				synctest.Wait()
				before = series(t, hub)
			}
		}
		synctest.Wait()
		after := series(t, hub)
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if _, ok := before[name]; !ok {
				t.Logf("with %d peers there is %s", peers, name)
			}
		}
		if len(after) > len(before)+5 || len(after) > 400 {
			t.Errorf("got %d series with %d peers, and %d with 2", len(after), peers, len(before))
		}
		for name, want := range map[string]float64{
			"gamelan_connections direction=in": peers, "gamelan_connections direction=out": 0, "gamelan_connections_opened_total direction=in": peers,
			"gamelan_messages_total direction=in kind=plain": peers, "gamelan_messages_total direction=out kind=plain": peers,
			"gamelan_message_bytes_total direction=in kind=plain": peers * 5, "gamelan_message_bytes_total direction=out kind=plain": peers * (4 + 5),
			"gamelan_sends_total outcome=confirmed reason=none": peers, "gamelan_sends_total outcome=failed reason=dial_failed": 0,
			"gamelan_send_duration_seconds": peers, "gamelan_peers": peers, "gamelan_peers_banned": 0,
			"gamelan_health_state state=ok": 1, "gamelan_health_state state=degraded": 0, "gamelan_condition code=offline": 0,
			"gamelan_actor_failures_total": 0, "gamelan_actors_stuck": 0, "gamelan_dials_total result=connected stage=none": 0,
		} {
			if got, ok := after[name]; !ok || got != want {
				t.Errorf("%s: got %v (%v), want %v", name, got, ok, want)
			}
		}
		if text := scraped(t, hub); strings.Contains(text, "evil") || strings.Contains(text, hub.ID().String()) || len(text) > 60<<10 {
			t.Errorf("got a scrape of %d bytes with a name that a peer has chosen, or an id", len(text))
		}
	})
}

// TestBubbleMetricsOfFaults: what goes wrong is counted where it belongs.
func TestBubbleMetricsOfFaults(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{NoDHT: true, Floor: gamelan.NoFloor}, gamelan.WithMessages(hears))
		b := net.Start(gamelan.Config{NoDHT: true, Floor: gamelan.NoFloor}, gamelan.WithMessages(hears))
		stranger := gamelantest.Secret(99).NodeID()
		if o, err := a.Send(t.Context(), stranger, []byte("x")); err != nil || o.AsError() == nil {
			t.Fatal(o, err)
		}
		net.Connect(a, b)
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		net.Partition(a, b)
		if _, err := a.Dial(t.Context(), b.ID()); err == nil {
			t.Fatal("got a connection of nodes that are apart")
		}
		if !gamelantest.Crash(a.Node, "peers", "a bug") {
			t.Fatal("nothing has crashed")
		}
		synctest.Wait()
		got := series(t, a)
		for name, want := range map[string]float64{
			"gamelan_sends_total outcome=failed reason=no_peer":           1,
			"gamelan_connections_closed_total cause=requested side=us":    1,
			"gamelan_connections_opened_total direction=out":              1,
			"gamelan_dials_total result=connected stage=none":             1,
			"gamelan_dials_total result=failed stage=connect":             1,
			"gamelan_actor_failures_total":                                1,
			"gamelan_connections direction=out":                           0,
			"gamelan_sends_total outcome=in_doubt reason=connection_lost": 0,
			"gamelan_connections_opened_total direction=in":               0,
		} {
			if n, ok := got[name]; !ok || n != want {
				t.Errorf("%s: got %v (%v), want %v", name, n, ok, want)
			}
		}
		if got["gamelan_connection_bytes_total direction=out"] == 0 {
			t.Error("got no bytes out, want those of the connection that has ended")
		}
	})
}

// TestScrapesBesideTraffic has nodes scraped all the time while they exchange messages, connect and disconnect. No
// counter falls.
func TestScrapesBesideTraffic(t *testing.T) {
	net := gamelantest.NewNetwork(t)
	a, b := net.Start(gamelan.Config{}, gamelan.WithMessages(hears)), net.Start(gamelan.Config{}, gamelan.WithMessages(hears))
	net.Connect(a, b)
	done := make(chan struct{})
	var scrapers, senders sync.WaitGroup
	for _, n := range []*gamelantest.Node{a, b} {
		scrapers.Go(func() {
			last := make(map[string]float64)
			for {
				list, err := inspect.Samples(context.Background(), n.Inspection().Options)
				if err != nil {
					t.Error(err)
				}
				for _, s := range list {
					key := s.Metric.Name + strings.Join(s.Labels, " ")
					if s.Metric.Kind == models.Counter && s.Value < last[key] {
						t.Errorf("%s fell from %v to %v", key, last[key], s.Value)
					}
					last[key] = s.Value
				}
				scraped(t, n)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for _, pair := range [][2]*gamelantest.Node{{a, b}, {b, a}} {
		for range 4 {
			senders.Go(func() {
				for i := range 200 {
					if _, err := pair[0].Send(t.Context(), pair[1].ID(), make([]byte, i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	senders.Go(func() {
		for range 5 {
			a.Disconnect(t.Context(), b.ID())
			if _, err := a.Dial(t.Context(), b.ID()); err != nil {
				t.Error(err)
			}
		}
	})
	senders.Wait()
	close(done)
	scrapers.Wait()
	sent := 0.0
	for name, n := range series(t, a) {
		if strings.HasPrefix(name, "gamelan_sends_total") {
			sent += n
		}
	}
	if sent != 800 {
		t.Errorf("got %v outcomes, want 800", sent)
	}
}
