//go:build !nodisk

package gamelan_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// recorded returns the types of a node's events, and their texts.
func recorded(t *testing.T, n *gamelan.Node, q inspect.EventQuery) (types []string, all []models.Event) {
	t.Helper()
	q.Limit = inspect.MaxLimit
	list, err := n.Inspection().Recorded(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Events {
		types = append(types, e.Type)
	}
	return types, list.Events
}

// TestRecorded: what happens in a node is kept, is found by time and peer, and is there when the
// node starts again after a kill.
func TestRecorded(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		dir := net.DataDir()
		cfg := gamelan.Config{DataDir: dir}
		a, b := net.Start(cfg), net.Start(gamelan.Config{})
		net.Connect(a, b)
		time.Sleep(time.Minute)
		from := time.Now()
		net.Partition(a, b)
		time.Sleep(5 * time.Minute)
		if _, err := a.Dial(t.Context(), b.ID()); err == nil {
			t.Fatal("got a connection through a cut cable")
		}
		time.Sleep(5 * time.Minute)
		to := time.Now()
		net.Heal(a, b)
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "noisy"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		types, all := recorded(t, a.Node, inspect.EventQuery{})
		for _, want := range []string{models.NodeStarted, models.ConnOpened, models.NodeOnline, models.ConnClosed, models.NodeOffline, models.DialFailed, models.PeerBanned} {
			if !slices.Contains(types, want) {
				t.Errorf("got %q, want %s", types, want)
			}
		}
		cut := 0
		for _, e := range all {
			if e.Type == models.ConnClosed && e.At.After(from) && e.At.Before(to) {
				cut++
			}
			if e.Type == models.DialFailed && e.Code == "" {
				t.Errorf("got %+v, want a code", e)
			}
			if e.Type == models.DialFailed && (!strings.HasPrefix(e.What, "no answer from ") || strings.Contains(e.What, "dial ")) {
				t.Errorf("got %q, want it in the words of gamelan why", e.What)
			}
		}
		if cut != 1 {
			t.Errorf("got %d events of the cut, want 1: %+v", cut, all)
		}
		if of, _ := recorded(t, a.Node, inspect.EventQuery{Peer: b.ID().String()}); len(of) == 0 || slices.Contains(of, models.NodeOnline) {
			t.Errorf("got %q of the peer", of)
		}

		net.Kill(a)
		again := net.Start(cfg)
		time.Sleep(time.Second)
		if got, _ := recorded(t, again.Node, inspect.EventQuery{}); len(got) < len(types) || !slices.Equal(got[:len(types)], types) || !slices.Contains(got[len(types):], models.NodeStarted) {
			t.Errorf("after a kill: got %q, want %q and more", got, types)
		}
	})
}

// TestRecordedFailures: a panic of the program's function, and what somebody has made the node do, are
// events.
func TestRecordedFailures(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{}, gamelan.WithMessages(func(context.Context, gamelan.Message) error { panic("my bug") }))
		b := net.Start(gamelan.Config{})
		net.Connect(a, b)
		if _, err := b.Send(t.Context(), a.ID(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		a.Inspection().Acted("admin.test")
		time.Sleep(time.Minute)
		_, all := recorded(t, a.Node, inspect.EventQuery{})
		for typ, want := range map[string]string{models.ActorFailed: "my bug", models.AdminActed: "admin.test"} {
			if !slices.ContainsFunc(all, func(e models.Event) bool { return e.Type == typ && strings.Contains(e.What, want) }) {
				t.Errorf("got %+v, want %s of %q", all, typ, want)
			}
		}
	})
}
