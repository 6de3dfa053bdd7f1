package gamelan_test

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// examined is the end of an examination, with its steps.
func examined(t *testing.T, n *gamelan.Node, peer string) (models.Diagnosis, []models.Checked) {
	t.Helper()
	var steps []models.Checked
	end, err := n.Inspection().Examine(t.Context(), peer, func(c models.Checked) { steps = append(steps, c) })
	if err != nil {
		t.Fatalf("examination of %q: %v", peer, err)
	}
	return end, steps
}

// wantCause checks the end of an examination. No code: nothing is wrong.
func wantCause(t *testing.T, what string, end models.Diagnosis, code *codes.Code) {
	t.Helper()
	got := ""
	if end.Cause != nil {
		got = end.Cause.Code
	}
	want := ""
	if code != nil {
		want = code.Name
	}
	if got != want || end.OK != (code == nil) {
		t.Errorf("%s: got %q (%+v), want %q", what, got, end, want)
	}
	if code != nil && end.Cause != nil && end.Cause.Step == "" {
		t.Errorf("%s: got no next step", what)
	}
}

// wantSaid checks that the health of a node says a code.
func wantSaid(t *testing.T, n *gamelan.Node, c *codes.Code) {
	t.Helper()
	h := n.Health(t.Context())
	all := slices.Concat(h.Reasons, h.Warnings)
	if !slices.ContainsFunc(all, func(n models.Notice) bool { return n.Code == c.Name }) {
		t.Errorf("got the health %s %q, want %s", h.State, all.Texts(), c.Name)
	}
}

// TestDoctorOfAPeer induces what can be wrong between two nodes, one after the other.
func TestDoctorOfAPeer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b, c := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		key := b.PublicKey().String()
		at := func(n *gamelantest.Node) string { return key + "::" + n.Addresses()[0].String() }

		_, err := a.Inspection().Examine(t.Context(), key, nil)
		if e, ok := errors.AsType[*inspect.Error](err); !ok || e.Code != inspect.CodeUnknownPeer {
			t.Errorf("a peer that is not known: got %v", err)
		}
		end, _ := examined(t, a.Node, at(c))
		wantCause(t, "another node at the address", end, codes.DialOtherKey)
		if _, ok := a.Connection(c.ID()); ok {
			t.Error("the examination has made a connection with another node")
		}
		end, _ = examined(t, a.Node, key+"::/memory/999")
		wantCause(t, "nobody at the address", end, codes.DialRefused)

		// An address alone: who is there?
		end, _ = examined(t, a.Node, b.Addresses()[0].String())
		wantCause(t, "an address", end, nil)
		if !strings.Contains(end.What, key) {
			t.Errorf("got %q, want the key %s", end.What, key)
		}

		end, steps := examined(t, a.Node, at(b))
		wantCause(t, "a peer that answers", end, nil)
		if _, ok := a.Connection(b.ID()); !ok || !slices.ContainsFunc(steps, func(s models.Checked) bool { return s.Step == "dial" && s.State == models.CheckOK }) {
			t.Errorf("got %+v, want that the peer was dialled", steps)
		}
		ref, _ := a.Connection(b.ID())
		end, _ = examined(t, a.Node, key)
		wantCause(t, "a connected peer", end, nil)
		if now, _ := a.Connection(b.ID()); now != ref {
			t.Error("the examination has replaced the connection")
		}

		net.Partition(a, b)
		end, _ = examined(t, a.Node, key)
		wantCause(t, "a connected peer that is cut off", end, codes.PeerSilent)
		time.Sleep(3 * time.Minute) // until the connection is given up
		end, _ = examined(t, a.Node, key)
		wantCause(t, "a peer that is cut off", end, codes.DialNoAnswer)
		net.Heal(a, b)

		if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "noisy"); err != nil {
			t.Fatal(err)
		}
		end, _ = examined(t, a.Node, key)
		wantCause(t, "banned here", end, codes.DialBanned)
		if err := a.Peers().Unban(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		if err := b.Peers().Ban(t.Context(), a.ID(), time.Hour, "noisy"); err != nil {
			t.Fatal(err)
		}
		end, steps = examined(t, a.Node, key)
		wantCause(t, "banned there", end, codes.DialTurnedAway)
		if !slices.ContainsFunc(steps, func(s models.Checked) bool { return s.Step == "address" && s.State == models.CheckOK }) {
			t.Errorf("got %+v, want that the peer has proven its key", steps)
		}
	})
}

// TestDoctorOfANode examines nodes as a whole.
func TestDoctorOfANode(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{})
		n := net.Start(gamelan.Config{Seeds: []string{seed.Seed()}})
		end, _ := examined(t, n.Node, "")
		wantCause(t, "a node that has just begun", end, nil)
		net.Connect(n, seed)
		time.Sleep(10 * time.Second)
		end, steps := examined(t, n.Node, "")
		wantCause(t, "a node that works", end, nil)
		for _, want := range []string{"node", "listener", "seed", "connections"} {
			if !slices.ContainsFunc(steps, func(s models.Checked) bool { return s.Step == want && s.State == models.CheckOK }) {
				t.Errorf("got %+v, want the step %s", steps, want)
			}
		}
		net.Partition(seed, n)
		time.Sleep(10 * time.Minute)
		end, _ = examined(t, n.Node, "")
		wantCause(t, "a node that is cut off", end, codes.DialNoAnswer)
		if end.Cause != nil && !strings.Contains(end.Cause.What, seed.ID().String()) {
			t.Errorf("got %q, want the seed in it", end.Cause.What)
		}
		value, err := n.Inspection().Sections.Value(t.Context(), "doctor")
		if err != nil {
			t.Fatal(err)
		}
		shown, ok := value.(models.Doctor)
		if !ok || shown.Diagnosis == nil || shown.Diagnosis.OK {
			t.Errorf("got %+v, want the last examination in the section", shown)
		}
	})
}

// TestDoctorsAreLimited begins more examinations than the node takes at once.
func TestDoctorsAreLimited(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Partition(a, b)
		done := make(chan error, 10)
		for range cap(done) {
			go func() {
				_, err := a.Inspection().Examine(t.Context(), b.Seed(), nil)
				done <- err
			}()
		}
		refused := 0
		for range cap(done) {
			if e, ok := errors.AsType[*inspect.Error](<-done); ok {
				if refused++; !strings.Contains(e.Message, "4 examinations") {
					t.Errorf("got %+v", e)
				}
			}
		}
		if refused != 6 {
			t.Errorf("got %d refused, want 6", refused)
		}
	})
}

// TestDoctorTriesWhatIsGiven: of a connected peer the address that a person gives is tried as well, and
// its fault is none of the connection.
func TestDoctorTriesWhatIsGiven(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		end, steps := examined(t, a.Node, b.PublicKey().String()+"::/memory/999")
		wantCause(t, "a connected peer", end, nil)
		if !slices.ContainsFunc(steps, func(s models.Checked) bool {
			return s.Step == "address" && s.State == models.CheckNote && s.Notice != nil
		}) {
			t.Errorf("got %+v, want a note of the address", steps)
		}
	})
}

// TestDoctorTriesWhatADialWouldTry: an address that is excluded from dialling is not connected to, given or known.
func TestDoctorTriesWhatADialWouldTry(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var came atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	a := start(t, gamelan.Config{ExcludeDial: []string{"/ip4/127.0.0.1/tcp/" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}}, nil)
	b := start(t, gamelan.Config{}, nil)
	end, _ := examined(t, a, b.PublicKey().String()+"::/ip4/127.0.0.1/tcp/"+strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	wantCause(t, "an excluded address", end, codes.DialExcluded)
	if n := came.Load(); n != 0 {
		t.Errorf("got %d connections at an excluded address, want none", n)
	}
}
