//go:build !nodisk

package store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

// TestDiskFull: what could not be written is not stored, also not after the disk has
// room again; deletions and confirmations of that time are made up for.
func TestDiskFull(t *testing.T) {
	disk := kvtest.NewDisk()
	db, err := disk.Open()
	must(t, err)
	defer db.Close()
	s := open(t, db.Client())
	r := round(t, s)
	must(t, s.Write(&store.Batch{Round: r, Add: messages(1, 2, 3, 4)}, false))
	full := errors.New("no space left on device")
	disk.Fail(full)
	if err := s.Write(&store.Batch{Round: r, Add: messages(5), Delete: []uint64{1}}, false); err == nil {
		t.Error("got no error of a full disk")
	}
	for range 3 {
		_ = s.Write(&store.Batch{Round: r, Delete: []uint64{2}, Confirm: []store.Confirmation{{Seq: 3, Sent: 1}}}, false)
	}
	if got, err := s.Envelopes([]uint64{4}); err != nil || !bytes.Equal(got[0], envelope(4)) {
		t.Errorf("a full disk: got %q, %v, want what was stored before", got, err)
	}
	wantLoaded(t, "of the full disk", s, " 3×1 4")
	disk.Fail(nil)
	r = round(t, s)
	must(t, s.Write(&store.Batch{Round: r, Add: messages(6)}, false))
	if st := s.Stats(); st.Owed != 0 {
		t.Errorf("got %d changes owed after a sync, want none", st.Owed)
	}
	for _, s := range []*store.Store{s, open(t, db.Client())} {
		wantLoaded(t, "with room again", s, " 3×1 4 6")
	}
}

// TestReopened: what was deleted and confirmed without a sync is written again when the
// disk has failed and lost it, whichever part of the node noticed.
func TestReopened(t *testing.T) {
	disk := kvtest.NewDisk()
	db, err := disk.Open()
	must(t, err)
	defer db.Close()
	other := db.Client()
	s := open(t, db.Client())
	r := round(t, s)
	must(t, s.Write(&store.Batch{Round: r, Add: messages(1, 2, 3)}, false))
	disk.Fail(errors.New("loose cable")) // its cache takes writes to the log, and loses them
	must(t, s.Write(&store.Batch{Round: r, Delete: []uint64{1}, Confirm: []store.Confirmation{{Seq: 2, Sent: 1}}}, false))
	if err := other.Apply(new(kv.Batch), true); err == nil {
		t.Fatal("got no error of a sync on a failed disk")
	}
	disk.Fail(nil)
	for range 3 { // another part opens the store anew
		if err = other.Apply(new(kv.Batch), true); err == nil {
			break
		}
	}
	must(t, err)
	wantLoaded(t, "lost by the disk", open(t, db.Client()), " 1 2 3")
	wantLoaded(t, "the store knows better", s, " 2×1 3")
	must(t, s.Write(&store.Batch{Round: round(t, s)}, true))
	wantLoaded(t, "written again", open(t, db.Client()), " 2×1 3")
}

// TestLowSpace has a store that adds no messages while the file system has little space
// left, but deletes them and counts confirmations.
func TestLowSpace(t *testing.T) {
	files := vfs.NewMem()
	disk, err := kv.OpenPebbleOn("/data", files)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	s := open(t, disk)
	n := round(t, s)
	must(t, s.Write(&store.Batch{Round: n, Add: messages(1, 2)}, false)) // the file system says nothing
	free := func(bytes uint64) {
		files.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: bytes, TotalBytes: 1 << 40})
	}
	free(store.MinFree)
	must(t, s.Write(&store.Batch{Round: n, Add: messages(3, 4)}, false))
	free(store.MinFree - 1)
	low := store.Batch{Round: n, Add: messages(5), Delete: []uint64{1}, Confirm: []store.Confirmation{{Seq: 2, Sent: 1}}}
	if err := s.Write(&low, false); !errors.Is(err, store.ErrLowSpace) {
		t.Errorf("got %v, want %v", err, store.ErrLowSpace)
	}
	if err := s.Write(&store.Batch{Round: n, Probe: true}, true); !errors.Is(err, store.ErrLowSpace) {
		t.Errorf("got %v from a probe, want %v", err, store.ErrLowSpace)
	}
	must(t, s.Write(&store.Batch{Round: n, Delete: []uint64{3}}, true))
	free(store.MinFree)
	must(t, s.Write(&store.Batch{Round: n, Probe: true}, true))
	wantLoaded(t, "with little space", open(t, disk), " 2×1 4")
}
