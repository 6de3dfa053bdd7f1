//go:build !nodisk

package kv_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

func put(c kv.Client, sync bool, key string) error {
	var b kv.Batch
	b.Set([]byte(key), []byte("1"))
	return c.Apply(&b, sync)
}

// TestEveryClientHearsOfEachOpening has the disk fail three times; the clients
// write in another order each time. Each is told once for each opening, and is
// refused nothing else.
func TestEveryClientHearsOfEachOpening(t *testing.T) {
	disk := kvtest.NewDisk()
	db, err := disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	clients := []kv.Client{db, db.Client(), db.Client()}
	idle := db.Client() // writes only at the end
	var want []string
	for round, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		for i, c := range clients {
			key := fmt.Sprintf("round %d, client %d, before", round, i)
			if err := put(c, true, key); err != nil {
				t.Fatalf("%s: got %v, want nil", key, err)
			}
			want = append(want, key+"=1")
		}
		disk.Fail(errors.New("unplugged"))
		for i, c := range clients {
			if err := put(c, true, "refused"); !errors.Is(err, kv.ErrFailed) || errors.Is(err, kv.ErrReopened) {
				t.Errorf("round %d, client %d, while the disk fails: got %v, want ErrFailed", round, i, err)
			}
		}
		disk.Fail(nil)
		late := db.Client() // taken before the store is opened anew
		for _, i := range order {
			key := fmt.Sprintf("round %d, client %d, after", round, i)
			if err := put(clients[i], false, key); !errors.Is(err, kv.ErrReopened) {
				t.Errorf("%s: got %v, want ErrReopened", key, err)
			}
			for range 2 {
				if err := put(clients[i], true, key); err != nil {
					t.Errorf("%s again: got %v, want nil", key, err)
				}
			}
			want = append(want, key+"=1")
		}
		if err := put(late, true, "late"); !errors.Is(err, kv.ErrReopened) {
			t.Errorf("round %d, a client from before the opening: got %v, want ErrReopened", round, err)
		}
		if err := put(db.Client(), true, "new"); err != nil {
			t.Errorf("round %d, a new client: got %v, want nil", round, err)
		}
	}
	if err := put(idle, true, "idle"); !errors.Is(err, kv.ErrReopened) {
		t.Errorf("idle through three failures: got %v, want ErrReopened", err)
	}
	if err := put(idle, true, "idle"); err != nil {
		t.Errorf("told once: got %v, want nil", err)
	}
	slices.Sort(want)
	if got := kvtest.All(t, db, "round"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestASyncTellsAllThatWasLost: what a client applied without sync while the
// disk failed may be taken without an error; its next sync does not pass
// without telling it, although another client has written meanwhile.
func TestASyncTellsAllThatWasLost(t *testing.T) {
	disk := kvtest.NewDisk()
	db, err := disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one, other := db.Client(), db.Client()
	if err := errors.Join(put(one, true, "kept"), put(other, true, "kept too")); err != nil {
		t.Fatal(err)
	}
	disk.Fail(errors.New("unplugged"))
	if err := put(one, false, "lost"); err != nil {
		t.Fatalf("got %v, want it taken", err)
	}
	if err := put(other, true, "other"); !errors.Is(err, kv.ErrFailed) {
		t.Fatalf("got %v, want ErrFailed", err)
	}
	disk.Fail(nil)
	if err := put(other, true, "other"); !errors.Is(err, kv.ErrReopened) {
		t.Fatalf("got %v, want ErrReopened", err)
	}
	if err := put(other, true, "other"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get([]byte("lost")); !errors.Is(err, kv.ErrNotFound) {
		t.Fatalf("got %v, want the unsynced entry gone: this tests nothing otherwise", err)
	}
	if err := one.Apply(new(kv.Batch), true); !errors.Is(err, kv.ErrReopened) {
		t.Errorf("got %v from a sync, want ErrReopened", err)
	}
}
