package gamelan_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestCreateIdentityRace has several programs make the identity of one
// directory: one does, and nobody replaces it.
func TestCreateIdentityRace(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		var mu sync.Mutex
		var made []identity.NodeID
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				id, err := gamelan.CreateIdentity(dir, protocol.LocalNet)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made = append(made, id.Secret.NodeID())
				case !errors.Is(err, gamelan.ErrIdentityExists):
					t.Error(err)
				}
			})
		}
		all.Wait()
		id, err := gamelan.LoadIdentity(dir)
		if err != nil || len(made) != 1 || made[0] != id.Secret.NodeID() {
			t.Fatalf("got %v made, %v, want one, the one in the file", made, err)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("got %v, %v, want only the identity file", files, err)
		}
	}
}

// TestStartRace has several nodes start in one new directory.
func TestStartRace(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		var all sync.WaitGroup
		nodes := make([]*gamelan.Node, 4)
		for i := range nodes {
			all.Go(func() {
				nodes[i], _ = gamelan.Start(t.Context(), gamelan.Config{DataDir: dir}, gamelan.WithLogger(discard))
			})
		}
		all.Wait()
		id, err := gamelan.LoadIdentity(dir)
		if err != nil {
			t.Fatal(err)
		}
		running := 0
		for _, n := range nodes {
			if n == nil {
				continue
			}
			running++
			if n.ID() != id.Secret.NodeID() {
				t.Errorf("got a node %s, want the identity of its directory, %s", n.ID(), id.Secret.NodeID())
			}
			if err := n.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if running != 1 {
			t.Errorf("got %d nodes in one directory, want 1", running)
		}
	}
}
