//go:build !nodisk

package keep_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// TestDiskThatFails: a disk that has failed is written again when it works; a synced batch
// before the failure stays, and contacts are written whole.
func TestDiskThatFails(t *testing.T) {
	ctx := t.Context()
	disk := kvtest.NewDisk()
	db, err := disk.Open()
	must(t, err)
	defer func() { db.Close() }()
	k := keep.New(db, "main", kad.Native)
	must(t, k.Commit(ctx, kad.Batch{Own: []kad.KeptOwn{own(1)}, Sync: true}))
	must(t, k.SaveContacts(ctx, []kad.KeptContact{live(contact(t, 1)), live(contact(t, 2))}, nil))
	full := errors.New("disk full")
	disk.Fail(full)
	if err := k.Commit(ctx, kad.Batch{Own: []kad.KeptOwn{own(2)}, Sync: true}); err == nil {
		t.Error("got no error of a disk that fails")
	}
	disk.Fail(nil)
	must(t, k.Commit(ctx, kad.Batch{Own: []kad.KeptOwn{own(3)}, Sync: true}))
	must(t, k.SaveContacts(ctx, []kad.KeptContact{live(contact(t, 1)), live(contact(t, 3))}, nil))
	must(t, k.Commit(ctx, kad.Batch{Sync: true}))
	must(t, db.Close())
	db, err = disk.Open()
	must(t, err)
	kept := load(t, keep.New(db, "main", kad.Native))
	has := func(n byte) bool {
		return slices.ContainsFunc(kept.Own, func(o kad.KeptOwn) bool { return o.Record.Key == own(n).Record.Key })
	}
	if !has(1) || !has(3) {
		t.Errorf("got %d own publications, want those that were acknowledged", len(kept.Own))
	}
	wanted := sorted(&kad.Kept{Contacts: []kad.KeptContact{live(contact(t, 1)), live(contact(t, 3))}}).Contacts
	if !reflect.DeepEqual(kept.Contacts, wanted) {
		t.Errorf("got contacts %v, want the last ones: %v", kept.Contacts, wanted)
	}
}
