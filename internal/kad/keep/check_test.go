package keep_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
)

// check returns what a Checker says of a store.
func check(t *testing.T, db kv.DB) (kad.StoreReport, error) {
	t.Helper()
	var c keep.Checker
	for _, prefix := range [][]byte{[]byte("kad/"), append([]byte{kv.Bulk}, "kad/"...)} {
		entries, scanErr := db.Scan(prefix)
		for key, value := range entries {
			c.Visit(key, value)
		}
		must(t, scanErr())
	}
	c.Visit([]byte("peer/1"), []byte("of another package"))
	c.Visit(nil, nil)
	return c.Report()
}

// TestChecker counts the entries of two clients, those that are damaged, and fails for a
// version that a client would refuse.
func TestChecker(t *testing.T) {
	stores(t, func(t *testing.T, db kv.DB) {
		if r, err := check(t, db); err != nil || r != (kad.StoreReport{Current: keep.Schema}) {
			t.Errorf("nothing: got %+v and %v", r, err)
		}
		k := keep.New(db, "main", kad.Native)
		must(t, k.Commit(t.Context(), kad.Batch{Records: []kad.KeptRecord{immutable("one"), immutable("two")}, Own: []kad.KeptOwn{own(1)}}))
		must(t, k.SaveContacts(t.Context(), []kad.KeptContact{live(contact(t, 1))}, []kad.KeptFormer{former(contact(t, 2), time.Hour)}))
		must(t, keep.New(db, "others", kad.Native).Commit(t.Context(), kad.Batch{Records: []kad.KeptRecord{immutable("of others")}}))
		r, err := check(t, db)
		if err != nil || r.Bytes < 100 {
			t.Errorf("got %+v and %v", r, err)
		}
		r.Bytes = 0
		if want := (kad.StoreReport{Schema: keep.Schema, Current: keep.Schema, Clients: 2, Records: 3, Own: 1, Contacts: 2}); r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}

		entries, scanErr := db.Scan(append([]byte{kv.Bulk}, "kad/"...))
		var damage kv.Batch
		for key, value := range entries {
			if bytes.Contains(key, []byte("rec")) {
				damage.Set(bytes.Clone(key), value[:len(value)-1])
				break
			}
		}
		must(t, scanErr())
		must(t, db.Client().Apply(&damage, true))
		if r, err := check(t, db); err != nil || r.Damaged != 1 || r.Records != 2 {
			t.Errorf("damaged: got %+v and %v, want one of three", r, err)
		}

		var newer kv.Batch
		newer.Set(metaKey(t, db), []byte("\x09main"))
		must(t, db.Client().Apply(&newer, true))
		if r, err := check(t, db); !errors.Is(err, kad.ErrSchema) || r.Schema != 9 {
			t.Errorf("newer: got %+v and %v, want ErrSchema", r, err)
		}
	})
}
