package presence

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
)

func start(t *testing.T, status string) *gamelan.Node {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{}, With(status))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

func shown(t *testing.T, n *gamelan.Node) Shown {
	t.Helper()
	v, err := n.Inspection().Sections.Value(t.Context(), "presence")
	if err != nil {
		t.Fatal(err)
	}
	return v.(Shown)
}

// hears waits until a node has the status of another.
func hears(t *testing.T, n, of *gamelan.Node, status string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); shown(t, n).Peers[of.ID().String()] != status; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got %v, want %q", shown(t, n).Peers, status)
		}
	}
}

// TestPresence has two nodes tell each other their statuses: when they connect, when one changes, and
// when it closes.
func TestPresence(t *testing.T) {
	ann, bob := start(t, "here"), start(t, "busy")
	if _, err := ann.DialAt(t.Context(), bob.Seed()); err != nil {
		t.Fatal(err)
	}
	hears(t, ann, bob, "busy")
	hears(t, bob, ann, "here")
	set := ann.Inspection().Verbs()["presence"]["set"].Do
	if v, err := set(t.Context(), url.Values{"status": {"lunch"}}, nil); err != nil || v.(Shown).Own != "lunch" {
		t.Errorf("got %v, %v", v, err)
	}
	hears(t, bob, ann, "lunch")
	if _, err := set(t.Context(), url.Values{"status": {strings.Repeat("x", 33)}}, nil); err == nil {
		t.Error("got no error for a status that is too long")
	}
	if err := ann.Close(t.Context()); err != nil {
		t.Error(err)
	}
	hears(t, bob, ann, "") // it has said away, and is gone
}

// TestMetrics: the part has a metric, and its warning counts as another condition than those of the node.
func TestMetrics(t *testing.T) {
	ann, bob := start(t, "here"), start(t, "busy")
	if _, err := ann.DialAt(t.Context(), bob.Seed()); err != nil {
		t.Fatal(err)
	}
	hears(t, bob, ann, "here")
	list, err := inspect.Samples(t.Context(), bob.Inspection().Options)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, s := range list {
		got[s.Metric.Name+" "+strings.Join(s.Labels, " ")] = s.Value
	}
	if got["gamelan_presence_peers "] != 1 || got["gamelan_condition other"] != 1 || got["gamelan_condition offline"] != 0 {
		t.Errorf("got %v, want one peer and one condition of the part", got)
	}
}

// TestBadStatus starts a node with a status that cannot be.
func TestBadStatus(t *testing.T) {
	if n, err := gamelan.Start(t.Context(), gamelan.Config{}, With("")); err == nil || !strings.Contains(err.Error(), `part "presence": a status is`) {
		n.Close(t.Context())
		t.Errorf("got %v", err)
	}
}
