package gamelan_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// wantAlso checks that an examination ends well, and that both ends say these codes.
func wantAlso(t *testing.T, what string, end models.Diagnosis, want ...*codes.Code) {
	t.Helper()
	var got, names []string
	for _, n := range end.Also {
		got = append(got, n.Code)
	}
	for _, c := range want {
		names = append(names, c.Name)
	}
	slices.Sort(got)
	slices.Sort(names)
	if !end.OK || !slices.Equal(got, names) {
		t.Errorf("%s: got %v (%+v), want %v", what, got, end, names)
	}
}

// TestDoctorOfBothEnds: two nodes join what they remember, and each names what the other has done.
//
// conforms: V 44
func TestDoctorOfBothEnds(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		shares := gamelan.Config{Inspect: gamelan.InspectConfig{ShareWhy: gamelan.ShareAlways}}
		a, b := net.Start(shares), net.Start(shares)
		aKey, bKey := a.PublicKey().String(), b.PublicKey().String()
		net.Connect(a, b)
		end, steps := examined(t, a.Node, bKey)
		wantAlso(t, "nothing is wrong", end)
		if i := slices.IndexFunc(steps, func(s models.Checked) bool { return s.Step == "both ends" }); i < 0 || steps[i].State != models.CheckOK {
			t.Errorf("got %+v, want that both ends agree", steps)
		}

		// b refuses a for a while.
		if err := b.Peers().Ban(t.Context(), a.ID(), time.Hour, "noisy"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for range 3 {
			if _, err := a.Dial(t.Context(), b.ID()); err == nil {
				t.Fatal("a banned node has connected")
			}
		}
		synctest.Wait() // b has noted all
		if err := b.Peers().Unban(t.Context(), a.ID()); err != nil {
			t.Fatal(err)
		}
		net.Connect(a, b)
		end, _ = examined(t, a.Node, bKey)
		wantAlso(t, "refused there", end, codes.RefusedThere, codes.EndedThere)
		for _, n := range end.Also {
			if !strings.Contains(n.What, "banned") || n.Code == codes.RefusedThere.Name && !strings.Contains(n.What, "3 connections of this node") {
				t.Errorf("got %q, want the count and the reason", n.What)
			}
		}
		end, _ = examined(t, b.Node, aKey)
		wantAlso(t, "refused here", end, codes.RefusedHere)

		// Both forget what is an hour old. Then a firewall drops the bytes that node a sends.
		time.Sleep(time.Hour)
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		net.Partition(a, b)
		for range 2 {
			if _, err := a.Dial(t.Context(), b.ID()); err == nil {
				t.Fatal("a node that is cut off has connected")
			}
		}
		net.Heal(a, b)
		net.Connect(b, a)
		end, _ = examined(t, a.Node, bKey)
		wantAlso(t, "lost on the way", end, codes.DialUnseen)
		if len(end.Also) == 1 && !strings.Contains(end.Also[0].What, "2 times at ") {
			t.Errorf("got %q, want how often, and the address", end.Also[0].What)
		}
		end, _ = examined(t, b.Node, aKey)
		wantAlso(t, "lost on the way here", end, codes.DialUnseenHere)

		// A later dial gets through.
		time.Sleep(time.Second)
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		net.Connect(a, b)
		end, steps = examined(t, a.Node, bKey)
		wantAlso(t, "no longer lost", end)
		if !slices.ContainsFunc(steps, func(s models.Checked) bool {
			return s.Step == "both ends" && s.State == models.CheckNote && strings.Contains(s.What, "2 times in vain")
		}) {
			t.Errorf("got %+v, want the dials in vain", steps)
		}
	})
}

// TestBothEndsAreAsked: a node that does not tell is not told, and no node does so by itself on a public network.
//
// conforms: V 44
func TestBothEndsAreAsked(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		shares := gamelan.Config{Inspect: gamelan.InspectConfig{ShareWhy: gamelan.ShareAlways}}
		a, silent := net.Start(shares), net.Start(gamelan.Config{})
		net.Connect(a, silent)
		end, steps := examined(t, a.Node, silent.PublicKey().String())
		wantCause(t, "a peer that does not tell", end, nil)
		if !slices.ContainsFunc(steps, func(s models.Checked) bool {
			return s.Step == "both ends" && s.State == models.CheckNote && strings.Contains(s.What, "does not tell")
		}) {
			t.Errorf("got %+v, want that the peer does not tell", steps)
		}
		_, steps = examined(t, silent.Node, a.PublicKey().String())
		if slices.ContainsFunc(steps, func(s models.Checked) bool { return s.Step == "both ends" }) {
			t.Errorf("got %+v, want that a node which does not tell does not ask", steps)
		}
	})
}
