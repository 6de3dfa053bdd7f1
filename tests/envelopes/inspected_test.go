package envelopes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// components are the actors of the DHT, by their paths below the node.
var components = []string{
	"peers", "conns", "dialer", "connectivity", "services/messaging", "services/messaging/PEER",
	"dht/dedup", "dht/outbound", "dht/pinger", "dht/inbound-0", "discovery/join", "discovery/search", "discovery/netsync",
	"discovery/neighbours", "saf/client", "saf/keeper",
}

// ask has the node's inspector answer.
func ask[T any](t *testing.T, n *gamelantest.Node, path string) (v T) {
	t.Helper()
	answer := httptest.NewRecorder()
	inspect.Handler(n.Inspection().Options).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/v1/"+path, nil))
	if err := json.Unmarshal(answer.Body.Bytes(), &v); answer.Code != http.StatusOK || err != nil {
		t.Fatalf("%s: got %d %s, %v", path, answer.Code, answer.Body.Bytes(), err)
	}
	return v
}

// inspected returns the actors of a node as its inspector answers, by their paths below the node.
func inspected(t *testing.T, n *gamelantest.Node) map[string]inspect.Actor {
	t.Helper()
	synctest.Wait() // an actor whose own timer runs out at this instant is busy
	page := ask[struct{ Items []inspect.Actor }](t, n, "actors?limit=1000")
	ids := regexp.MustCompile(`[0-9a-f]{26}`)
	all := make(map[string]inspect.Actor)
	for _, a := range page.Items {
		_, path, _ := strings.Cut(a.ID, "/node/")
		all[ids.ReplaceAllString(path, "PEER")] = a
	}
	return all
}

// TestBubbleEveryComponentIsInspected: the inspector shows each component of the DHT as an actor
// with its mailbox, what it has done so far and what it says of itself, and after a failure also
// the reason, while the actor runs again.
//
// conforms: dht 143
func TestBubbleEveryComponentIsInspected(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := kit.StartMember(net, gamelan.Config{}, kit.Quiet), kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		net.Connect(a.Node, b.Node)
		for range 20 {
			kit.Send(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, "hello"))
		}
		if _, err := a.DHT().Ping(t.Context(), b.ID()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		before := inspected(t, b.Node)
		for _, path := range components {
			x, ok := before[path]
			if !ok {
				t.Errorf("%s: got no actor, want one", path)
				continue
			}
			if x.State != inspect.Running || x.Incarnation == 0 || x.Processed == 0 && path != "discovery/neighbours" || x.Kind == "" || x.Policy == "" || x.LastFailure != nil {
				t.Errorf("%s: got %+v, want it running, with messages behind it and no failure", path, x)
			}
			if line := ask[inspect.Actor](t, b.Node, "actors/"+x.ID).Line; line == "" && path != "dialer" {
				t.Errorf("%s: got %+v without a line about itself", path, x)
			}
		}
		inbound := 0
		for path, x := range before {
			if strings.HasPrefix(path, "dht/inbound-") && strings.Contains(ask[inspect.Actor](t, b.Node, "actors/"+x.ID).Line, "21 delivered") && x.Mailbox.HighWater > 0 && x.Processed >= 21 {
				inbound++
			}
		}
		if inbound != 1 {
			t.Errorf("got %d inbound actors with 21 messages delivered, want one", inbound)
		}
		for _, path := range components {
			if path == "services/messaging/PEER" { // it is not started again
				continue
			}
			if !gamelantest.Crash(b.Node.Node, path, "a bug of "+path) {
				t.Errorf("%s does not crash", path)
			}
			time.Sleep(time.Minute)
			if x := inspected(t, b.Node)[path]; x.State != inspect.Running || x.LastFailure == nil || x.LastFailure.Reason != "a bug of "+path || x.Incarnation != before[path].Incarnation+1 || x.Restarts != before[path].Restarts+1 {
				t.Errorf("%s: got %+v, failure %+v, want it running again, with its failure", path, x, x.LastFailure)
			}
		}
	})
}
