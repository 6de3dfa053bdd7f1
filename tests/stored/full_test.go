package stored

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleStoredFull: a node whose store for others is full says so: in the health, in the
// warnings of its status, in the section of stored messages, and in an event; and that it is
// over.
func TestBubbleStoredFull(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		full := gamelan.Config{StoreForward: gamelan.StoreForwardConfig{Limits: gamelan.StoreForwardLimits{Messages: 3}}}
		author, server, wallet := away(t, net, full, gamelan.Config{}, 3)
		var mu sync.Mutex
		var events []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for e := range server.Events(ctx) {
				mu.Lock()
				switch e := e.Value.(type) {
				case dht.StorageTroubled:
					events = append(events, fmt.Sprintf("full %v, %d messages, %v", e.Full, e.Messages, e.Err))
				case dht.StorageHealed:
					events = append(events, "healed")
				}
				mu.Unlock()
			}
		}()
		synctest.Wait()
		check := func(what string, isFull bool, happened ...string) {
			t.Helper()
			synctest.Wait()
			const text = "the store of messages for other nodes is full, with 3 messages: new ones evict those of the source with most"
			has := func(s string) bool { return strings.HasPrefix(s, text) }
			in := server.Inspection()
			if got := in.Degraded(t.Context()).Texts(); slices.ContainsFunc(got, has) {
				t.Errorf("%s: got degraded %q, want a warning at most", what, got)
			}
			if got := in.Warnings(t.Context()).Texts(); slices.ContainsFunc(got, has) != isFull {
				t.Errorf("%s: got warnings %q", what, got)
			}
			v, err := in.Sections.Value(t.Context(), "node")
			if err != nil {
				t.Fatal(err)
			}
			if got := v.(models.Node).Warnings.Texts(); slices.ContainsFunc(got, has) != isFull {
				t.Errorf("%s: got warnings %q", what, got)
			}
			if isFull {
				kit.Says(t, server.Node.Node, codes.StoredFull)
			}
			s := server.DHT().StoreForward(t.Context())
			if s.Server.Full != isFull || strings.Contains(s.Summary, "and is full") != isFull {
				t.Errorf("%s: got %q, full %v", what, s.Summary, s.Server.Full)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(events, happened) {
				t.Errorf("%s: got events %q, want %q", what, events, happened)
			}
		}
		const fullEvent = "full true, 3 messages, <nil>"
		check("at the limit", false)
		kit.StoreFor(t, author, wallet.PublicKey(), "one more")
		check("beyond it", true, fullEvent)
		kit.StoreFor(t, author, wallet.PublicKey(), "another")
		check("and again", true, fullEvent)
		if _, err := server.DHT().PurgeStored(t.Context(), wallet.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		check("after a purge", false, fullEvent, "healed")
	})
}
