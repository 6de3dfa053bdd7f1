package gamelan_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// wantBan looks at what a node says of a ban.
func wantBan(t *testing.T, n *gamelan.Node, peer identity.NodeID, want bool) {
	t.Helper()
	if until, reason, got := n.Peers().Banned(peer); got != want {
		t.Errorf("got banned %v until %v: %s, want %v", got, until, reason, want)
	}
}

// TestAllowListEndsStoredBans starts a node with a peer on the allow list that it
// has banned in an earlier life.
//
// conforms: comms 123
func TestAllowListEndsStoredBans(t *testing.T) {
	cfg := gamelan.Config{DataDir: t.TempDir()}
	peer, other := gamelantest.Secret(7).NodeID(), gamelantest.Secret(8).NodeID()
	life := func(allow []string, f func(n *gamelan.Node)) {
		cfg.Allow = allow
		n := start(t, cfg, nil)
		f(n)
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	life(nil, func(n *gamelan.Node) {
		for _, id := range []identity.NodeID{peer, other} {
			if err := n.Peers().Ban(t.Context(), id, time.Hour, "a test"); err != nil {
				t.Fatal(err)
			}
		}
	})
	life([]string{gamelantest.Secret(7).PublicKey().String()}, func(n *gamelan.Node) {
		wantBan(t, n, peer, false) // at once
		wantBan(t, n, other, true)
		if err := n.Peers().Ban(t.Context(), peer, time.Hour, "a test"); !errors.Is(err, actors.ErrSpared) {
			t.Errorf("got %v, want ErrSpared", err)
		}
	})
	life(nil, func(n *gamelan.Node) {
		wantBan(t, n, peer, false) // for good
		wantBan(t, n, other, true)
		if err := n.Peers().Allow(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		wantBan(t, n, other, false)
	})
	life(nil, func(n *gamelan.Node) { wantBan(t, n, other, false) })
}

// TestImportBansNobodyAllowed imports bans of peers on the allow list, of which
// the node is connected to one and knows the other not at all.
//
// conforms: comms 123
func TestImportBansNobodyAllowed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b, c := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, c)
		net.Connect(b, c)
		stranger, other := identity.NodeID{7}, identity.NodeID{8}
		for _, peer := range []identity.NodeID{c.ID(), stranger, other} {
			if err := a.Peers().Ban(t.Context(), peer, time.Hour, "noise"); err != nil {
				t.Fatal(err)
			}
		}
		var file bytes.Buffer
		if _, err := a.Peers().Export(&file); err != nil {
			t.Fatal(err)
		}
		for _, peer := range []identity.NodeID{c.ID(), stranger} {
			if err := b.Peers().Allow(t.Context(), peer); err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.Peers().Import(t.Context(), bytes.NewReader(file.Bytes()))
		if want := (actors.Imported{Added: 1, Merged: 1, Skipped: 1}); err != nil || got != want {
			t.Errorf("import: got %+v, %v, want %+v", got, err, want)
		}
		p, _ := b.Peers().Get(c.ID())
		p.BannedUntil, p.BanReason = time.Now().Add(time.Hour), "by hand"
		if err := b.Peers().Add(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantBan(t, b.Node, c.ID(), false)
		wantBan(t, b.Node, stranger, false)
		wantBan(t, b.Node, other, true)
		if _, ok := b.Connection(c.ID()); !ok {
			t.Error("got no connection to a peer that is never banned, want it kept")
		}
		if err := b.Peers().Disallow(t.Context(), c.ID()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Peers().Import(t.Context(), bytes.NewReader(file.Bytes())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantBan(t, b.Node, c.ID(), true)
		if _, ok := b.Connection(c.ID()); ok {
			t.Error("got a connection to a peer that is banned and not allowed any more, want it closed")
		}
	})
}

// TestAllowDuringAnImport has a peer allowed while a ban of it is on its way:
// whichever comes first, it is not banned in the end.
func TestAllowDuringAnImport(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		for i := range 100 {
			peer := identity.NodeID{1, byte(i)}
			if err := a.Peers().Ban(t.Context(), peer, time.Hour, "noise"); err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if _, err := a.Peers().Export(&file); err != nil {
				t.Fatal(err)
			}
			var both sync.WaitGroup
			both.Go(func() {
				if _, err := b.Peers().Import(t.Context(), bytes.NewReader(file.Bytes())); err != nil {
					t.Error(err)
				}
			})
			both.Go(func() {
				if err := b.Peers().Allow(t.Context(), peer); err != nil {
					t.Error(err)
				}
			})
			both.Wait()
			wantBan(t, b.Node, peer, false)
			if err := a.Peers().Forget(t.Context(), peer); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestAllowedAtOnce has a node dial a peer whose ban is being lifted: nobody
// minds it any more, though it may still be stored.
func TestAllowedAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := net.Start(gamelan.Config{})
		seed, err := peerstore.ParseSeed(b.Seed())
		if err != nil {
			t.Fatal(err)
		}
		a := net.Start(gamelan.Config{Allow: []string{b.ID().String()}, Floor: 1})
		synctest.Wait() // the store's own writer rests
		seed.BannedUntil, seed.BanReason = time.Now().Add(time.Hour), "by hand"
		nodetest.Trunk(a).PeerStore().Add(time.Now(), seed) // behind its back, as a store that is opened has it
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Errorf("got %v, want a connection", err)
		}
	})
}
