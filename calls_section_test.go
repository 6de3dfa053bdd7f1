package gamelan_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// TestCallsCounted: the section "calls" counts the calls of the program, and those to its services, by their
// results. Calls to services of the node's own are not among them.
func TestCallsCounted(t *testing.T) {
	for _, whose := range []string{"own", "a peer's"} {
		t.Run(whose, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				failures := 0
				serves := net.Start(gamelan.Config{}, gamelan.WithService(shop(protocol.PanicRestart, &failures)))
				calls := serves
				if whose != "own" {
					calls = net.Start(gamelan.Config{})
					net.Connect(calls, serves)
				}
				ask := func(ctx context.Context, peer identity.NodeID, method uint32, text string) {
					_, _ = rpc.Call[askedOf, askedOf](ctx, calls.RPC().Client(peer, "/test/shop/1", rpc.JSON), method, &askedOf{text})
				}
				for _, text := range []string{"ok", "ok", "not found", "private", "panic"} {
					ask(t.Context(), serves.ID(), 3, text)
				}
				ask(t.Context(), serves.ID(), 9, "there is no such method")
				ask(t.Context(), identity.NodeID{1}, 3, "nobody knows this peer")
				soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				ask(soon, serves.ID(), 3, "never")
				given, giveUp := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, giveUp)
				ask(given, serves.ID(), 3, "never")
				for item, err := range rpc.Items[askedOf, askedOf](t.Context(), calls.RPC().Client(serves.ID(), "/test/shop/1", rpc.JSON), 2, &askedOf{"many"}) {
					if _ = item; err == nil {
						break
					}
				}
				synctest.Wait()

				made, served := callsOf(t, calls.Node), callsOf(t, serves.Node)
				ended(t, "made", made.Made, map[string]uint64{
					"ok": 2, "not found": 1, "general error": 2, "unsupported method": 1, "timeout": 1, "cancelled": 2, "not run": 1, "session lost": 0,
				})
				ended(t, "served", served.Served, map[string]uint64{
					"ok": 2, "not found": 1, "general error": 2, "timeout": 1, "cancelled": 2, "not run": 0, "session lost": 0,
				})
				if n := made.MadeTook.Total(); n != 9 || made.MadeTook.Sum < 6 || made.MadeTook.Sum > 7 {
					t.Errorf("got %d timed calls in %v s, want 9 in somewhat more than 6: that with a stream is not timed", n, made.MadeTook.Sum)
				}
				if n := served.ServedTook.Total(); n != 7 || served.ServedTook.Sum < 6 || served.ServedTook.Sum > 7 {
					t.Errorf("got %d timed calls served in %v s, want 7 in somewhat more than 6", n, served.ServedTook.Sum)
				}
				if whose != "own" {
					ended(t, "made there", served.Made, map[string]uint64{"ok": 0, "timeout": 0, "general error": 0, "not run": 0, "session lost": 0})
				}
			})
		})
	}
}

func callsOf(t *testing.T, n *gamelan.Node) models.Calls {
	t.Helper()
	v, err := n.Inspection().Sections.Value(t.Context(), "calls")
	if err != nil {
		t.Fatal(err)
	}
	return v.(models.Calls)
}

func ended(t *testing.T, which string, got []models.CallsEnded, want map[string]uint64) {
	t.Helper()
	have := make(map[string]uint64)
	for _, e := range got {
		have[e.Result] = e.Count
	}
	if !maps.Equal(have, want) {
		t.Errorf("%s: got %v, want %v", which, have, want)
	}
}
