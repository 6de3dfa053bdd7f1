package nodeview

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// newView returns the view of a node with these parts, whose actors do not run.
func newView(t *testing.T, parts ...actors.Part) *View {
	t.Helper()
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{Self: secret.NodeID(), Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return &View{
		Trunk: trunk.NewNode(trunk.Settings{
			Base:     base.Settings{System: actor.NewActorSystem(), Root: "node", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Now: time.Now},
			Store:    store,
			Messages: messengers.Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16, PlainID: protocol.PlainID},
		}),
		Parts: parts, Files: models.Notices{{What: "files"}},
		Status:    func(context.Context) (actors.Status, error) { return actors.Status{State: "online"}, nil },
		OnlyDials: func() bool { return true },
		Stopping:  func() bool { return false }, Ended: func() bool { return false },
	}
}

// TestWhatPartsSay: the section "node" has the warnings of all parts in their order: first those of
// the node, then why it is degraded, then those of peers. Health has none but the second.
func TestWhatPartsSay(t *testing.T) {
	say := func(what string) func() models.Notices {
		return func() models.Notices { return models.Notices{{What: what}} }
	}
	v := newView(t,
		actors.Part{Name: "a", Warnings: say("a warns"), PeerWarnings: say("a's peers"), Node: func(n *models.Node) { n.Tor = &models.Tor{On: true} }},
		actors.Part{Name: "silent"},
		actors.Part{Name: "b", Warnings: say("b warns"), Degraded: say("b is degraded")},
		actors.Part{Name: "c", Degraded: say("c is degraded")},
	)
	n := Section[models.Node](t.Context(), v, "node")
	if got, want := n.Warnings.Texts(), []string{"files", "a warns", "b warns", "b is degraded", "c is degraded", "a's peers"}; !slices.Equal(got, want) {
		t.Errorf("got the warnings %q, want %q", got, want)
	}
	if n.Status != "online" || n.Tor == nil {
		t.Errorf("got %+v, want the fields of the part", n)
	}
	if got, want := v.Degraded(t.Context()).Texts(), []string{"b is degraded", "c is degraded"}; !slices.Equal(got, want) {
		t.Errorf("degraded: got %q, want %q", got, want)
	}
}

func TestUnhealthy(t *testing.T) {
	yes := func() bool { return true }
	for want, change := range map[string]func(*View){
		"":                     func(*View) {},
		"the node has ended":   func(v *View) { v.Ended, v.Stopping = yes, yes },
		"the node is stopping": func(v *View) { v.Stopping = yes },
		connectivitySilent: func(v *View) {
			v.Status = func(context.Context) (actors.Status, error) { return actors.Status{}, errors.New("late") }
		},
	} {
		v := newView(t)
		change(v)
		got := v.Unhealthy(t.Context()).Texts()
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0][:len(want)] != want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAll: what is wrong is in the list whatever the state of the node, and it is known whether all could be
// looked at.
func TestAll(t *testing.T) {
	v := newView(t, actors.Part{Name: "a", Degraded: func() models.Notices { return models.Notices{{Code: "a", What: "a is degraded"}} }})
	look := func() (string, bool) {
		list, whole := v.All(t.Context())
		return strings.Join(list.Texts(), ", "), whole
	}
	if got, whole := look(); got != "files, a is degraded" || !whole {
		t.Errorf("got %q, whole: %v", got, whole)
	}
	v.Status = func(context.Context) (actors.Status, error) { return actors.Status{}, errors.New("late") }
	if got, whole := look(); !strings.HasPrefix(got, connectivitySilent) || !strings.HasSuffix(got, "files, a is degraded") || whole {
		t.Errorf("without an answer: got %q, whole: %v, want all else as well, and not whole", got, whole)
	}
	if h := v.Whole(t.Context()); h.State != models.HealthFailed || len(h.Reasons) != 1 || len(h.Warnings.Of(models.Degraded)) != 1 {
		t.Errorf("got %+v, want why it is degraded among the warnings", h)
	}
	v.Stopping = func() bool { return true }
	if got, whole := look(); got != "" || whole {
		t.Errorf("while it stops: got %q, whole: %v, want nothing", got, whole)
	}
}
