package keep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// wall is the time by the system's clock.
var wall = time.UnixMilli(1_800_000_000_123)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// immutable returns a stored record whose value is the text.
func immutable(text string) kad.KeptRecord {
	return kad.KeptRecord{
		Record: &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey([]byte(text)), Value: []byte(text)},
		Until:  wall.Add(time.Hour), Peer: "peer of " + text, Group: "192.0.2.0/24", Cached: len(text)%2 == 1,
	}
}

// opaque returns a record of the overlay Seed, longer than records of Native may be.
func opaque(n byte) kad.KeptRecord {
	return kad.KeptRecord{
		Record: &kad.Record{Key: kad.ID{n}, Value: bytes.Repeat([]byte{n}, 60_000)}, Until: wall, Peer: strings.Repeat("p", keep.MaxSource),
	}
}

func own(n byte) kad.KeptOwn {
	return kad.KeptOwn{Due: wall.Add(time.Duration(n) * time.Hour), TTL: time.Duration(n) * time.Minute, Record: &kad.Record{
		Kind: overlay.Mutable, Key: kad.ID{n, 1}, Value: []byte{n}, Alg: 1, PublicKey: bytes.Repeat([]byte{2}, 32), Salt: []byte("salt"),
		Seq: 1 << 60, Expires: 1_800_000_000, Flags: 1, Signature: bytes.Repeat([]byte{3}, 64),
	}}
}

// contact returns the node with secret n.
func contact(t testing.TB, n byte) kad.Contact {
	t.Helper()
	secret, err := identity.SecretFromBytes(append([]byte{n}, make([]byte, 31)...))
	must(t, err)
	at, err := overlay.Address(fmt.Sprintf("/ip4/93.184.216.%d/tcp/9000", n)).Bytes()
	must(t, err)
	claim, err := identity.SignClaim(secret, 3, [][]byte{at}, wall, bytes.NewReader(bytes.Repeat([]byte{n}, 64)))
	must(t, err)
	c, err := overlay.NativeContact(&claim)
	must(t, err)
	return c
}

func live(c kad.Contact) kad.KeptContact {
	return kad.KeptContact{
		Contact: c, Since: wall.Add(-time.Hour), Answered: wall, Score: 7,
		RTT: overlay.RTT{Smoothed: 80 * time.Millisecond, Variation: time.Millisecond},
	}
}

func former(c kad.Contact, lost time.Duration) kad.KeptFormer {
	return kad.KeptFormer{Contact: c, Lost: wall.Add(-lost), Rest: wall.Add(time.Hour), Failures: 3}
}

func load(t testing.TB, k *keep.Keeper) *kad.Kept {
	t.Helper()
	kept, err := k.Load(t.Context())
	must(t, err)
	return kept
}

// sorted returns what Load returns for it: records in the order of their keys.
func sorted(kept *kad.Kept) *kad.Kept {
	slices.SortFunc(kept.Records, func(a, b kad.KeptRecord) int { return a.Record.Key.Compare(b.Record.Key) })
	slices.SortFunc(kept.Own, func(a, b kad.KeptOwn) int { return a.Record.Key.Compare(b.Record.Key) })
	slices.SortFunc(kept.Contacts, func(a, b kad.KeptContact) int { return a.Contact.ID.Compare(b.Contact.ID) })
	return kept
}

func want(t *testing.T, what string, k *keep.Keeper, want *kad.Kept) {
	t.Helper()
	if got := load(t, k); !reflect.DeepEqual(got, sorted(want)) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// stores are the stores that a node may have.
func stores(t *testing.T, test func(t *testing.T, db kv.DB)) {
	t.Run("memory", func(t *testing.T) { test(t, kv.Memory()) })
	t.Run("disk", func(t *testing.T) {
		db, err := kv.OpenPebble(t.TempDir())
		must(t, err)
		defer db.Close()
		test(t, db)
	})
}

// TestKeeper: everything that was written comes back, without what was removed, and another
// client of the node has its own.
func TestKeeper(t *testing.T) {
	stores(t, func(t *testing.T, db kv.DB) {
		ctx := t.Context()
		k := keep.New(db, "main", kad.Native)
		want(t, "nothing", k, &kad.Kept{})
		others := keep.New(db, "others", kad.Native)
		must(t, others.Commit(ctx, kad.Batch{Records: []kad.KeptRecord{immutable("of others")}}))

		must(t, k.Commit(ctx, kad.Batch{Records: []kad.KeptRecord{immutable("one"), immutable("three"), opaque(1)}, Own: []kad.KeptOwn{own(1), own(2)}}))
		changed := immutable("one")
		changed.Until, changed.Cached = wall.Add(48*time.Hour), false
		must(t, k.Commit(ctx, kad.Batch{
			ID: kad.ID{5}, Records: []kad.KeptRecord{changed}, Removed: []kad.Key{immutable("three").Record.Key}, Forgotten: []kad.Key{own(2).Record.Key}, Sync: true,
		}))
		a, b := contact(t, 1), contact(t, 2)
		seed := kad.Contact{ID: kad.ID{9}, Addresses: []kad.Address{"/ip4/192.0.2.7/udp/1", "/ip6/2001:db8::1/udp/2"}}
		must(t, k.SaveContacts(ctx, []kad.KeptContact{live(a), live(b)}, []kad.KeptFormer{former(a, time.Hour)}))
		must(t, k.SaveContacts(ctx, []kad.KeptContact{live(b), live(seed)}, []kad.KeptFormer{former(seed, time.Minute), former(a, time.Hour)}))

		kept := &kad.Kept{
			ID: kad.ID{5}, Records: []kad.KeptRecord{changed, opaque(1)}, Own: []kad.KeptOwn{own(1)},
			Contacts: []kad.KeptContact{live(b), live(seed)}, Former: []kad.KeptFormer{former(a, time.Hour), former(seed, time.Minute)},
		}
		want(t, "the same", k, kept)
		want(t, "opened again", keep.New(db, "main", kad.Native), kept)
		want(t, "another client", others, &kad.Kept{Records: []kad.KeptRecord{immutable("of others")}})
		want(t, "another overlay", keep.New(db, "main", kad.Seed), &kad.Kept{})
		for _, c := range load(t, k).Contacts {
			if err := c.Contact.Verify(wall); err != nil {
				t.Errorf("got a contact with %v, want the claim that was signed", err)
			}
		}
	})
}

// metaKey is where the version of the client "main" is.
func metaKey(t *testing.T, db kv.DB) []byte {
	t.Helper()
	entries, scanErr := db.Scan([]byte("kad/"))
	for key := range entries {
		if bytes.HasSuffix(key, []byte("metaschema")) {
			return bytes.Clone(key)
		}
	}
	must(t, scanErr())
	t.Fatal("got no version in the store, want one with the first entry")
	return nil
}

// TestSchema: entries of another version are refused and not touched.
//
// conforms: kad 52
func TestSchema(t *testing.T) {
	stores(t, func(t *testing.T, db kv.DB) {
		k := keep.New(db, "main", kad.Native)
		must(t, k.Commit(t.Context(), kad.Batch{Records: []kad.KeptRecord{immutable("one")}}))
		for _, version := range [][]byte{{keep.Schema + 1, 'm', 'a', 'i', 'n'}, {0}, {}} {
			var b kv.Batch
			b.Set(metaKey(t, db), version)
			must(t, db.Apply(&b, true))
			before := kvtest.All(t, db, "")
			kept, err := keep.New(db, "main", kad.Native).Load(t.Context())
			if kept != nil || !errors.Is(err, kad.ErrSchema) {
				t.Errorf("version %x: got %+v and %v, want ErrSchema", version, kept, err)
			}
			if after := kvtest.All(t, db, ""); !slices.Equal(after, before) {
				t.Errorf("version %x: got %q, want the entries as they were: %q", version, after, before)
			}
		}
		var b kv.Batch
		b.Set(metaKey(t, db), []byte{keep.Schema, 'x'})
		must(t, db.Apply(&b, true))
		if _, err := keep.New(db, "main", kad.Native).Load(t.Context()); !errors.Is(err, keep.ErrName) {
			t.Errorf("got %v, want ErrName", err)
		}
	})
}

// TestDamaged changes and cuts each byte of each entry. The entry is left out, counted and
// deleted, and its neighbours stay.
//
// conforms: kad 52
func TestDamaged(t *testing.T) {
	ctx := t.Context()
	db := kv.Memory()
	k := keep.New(db, "main", kad.Native)
	good := immutable("stays")
	small := kad.KeptRecord{Record: &kad.Record{Key: kad.ID{1}, Value: []byte("small")}, Until: wall}
	must(t, k.Commit(ctx, kad.Batch{Records: []kad.KeptRecord{good, immutable("broken"), small}, Own: []kad.KeptOwn{own(1)}}))
	must(t, k.SaveContacts(ctx, []kad.KeptContact{live(contact(t, 1))}, []kad.KeptFormer{former(contact(t, 2), 0)}))

	entries, scanErr := db.Scan([]byte{kv.Bulk})
	all := map[string][]byte{}
	for key, value := range entries {
		all[string(key)] = bytes.Clone(value)
	}
	must(t, scanErr())
	entries, scanErr = db.Scan([]byte("kad/"))
	for key, value := range entries {
		if !bytes.Contains(key, []byte("meta")) {
			all[string(key)] = bytes.Clone(value)
		}
	}
	must(t, scanErr())
	if len(all) != 6 {
		t.Fatalf("got %d entries, want 6", len(all))
	}
	write := func(key string, value []byte) {
		var b kv.Batch
		b.Set([]byte(key), value)
		must(t, db.Apply(&b, false))
	}
	for key, value := range all {
		if bytes.Contains(value, []byte("stays")) {
			continue
		}
		for i := range value {
			for _, broken := range [][]byte{append(append(bytes.Clone(value[:i]), value[i]^1), value[i+1:]...), value[:i]} {
				write(key, broken)
				kept := load(t, keep.New(db, "main", kad.Native))
				total := len(kept.Records) + len(kept.Own) + len(kept.Contacts) + len(kept.Former)
				if kept.Damaged != 1 || total != len(all)-1 || !slices.ContainsFunc(kept.Records, func(r kad.KeptRecord) bool { return reflect.DeepEqual(r, good) }) {
					t.Fatalf("entry %q, byte %d: got %d damaged and %d good ones, want 1 and %d", key, i, kept.Damaged, total, len(all)-1)
				}
				if _, err := db.Get([]byte(key)); !errors.Is(err, kv.ErrNotFound) {
					t.Fatalf("entry %q, byte %d: got %v, want that it is deleted", key, i, err)
				}
			}
		}
		write(key, value)
	}
	if kept := load(t, keep.New(db, "main", kad.Native)); kept.Damaged != 0 {
		t.Errorf("got %d damaged, want none in the end", kept.Damaged)
	}
}

// TestDamagedID: an own id that cannot be read is made anew by the client.
func TestDamagedID(t *testing.T) {
	db := kv.Memory()
	k := keep.New(db, "main", kad.Seed)
	must(t, k.Commit(t.Context(), kad.Batch{ID: kad.ID{1}}))
	var b kv.Batch
	b.Set(bytes.Replace(metaKey(t, db), []byte("schema"), []byte("id"), 1), []byte("short"))
	must(t, db.Apply(&b, false))
	if kept := load(t, k); !kept.ID.IsZero() || kept.Damaged != 1 {
		t.Errorf("got id %v and %d damaged, want none and 1", kept.ID, kept.Damaged)
	}
}

// scripted is a store whose next writes end with these errors.
type scripted struct {
	kv.DB
	errs []error
}

func (s *scripted) Client() kv.Client { return s }

func (s *scripted) Apply(b *kv.Batch, sync bool) error {
	if len(s.errs) > 0 {
		err := s.errs[0]
		if s.errs = s.errs[1:]; err != nil {
			return err
		}
	}
	return s.DB.Apply(b, sync)
}

// TestContactsAreReplacedAtOnce: whichever write fails when the store was opened anew, the disk has
// either the last contacts or those before.
func TestContactsAreReplacedAtOnce(t *testing.T) {
	ctx := t.Context()
	for good := range 3 { // writes before the disk fails again
		db := &scripted{DB: kv.Memory()}
		k := keep.New(db, "main", kad.Native)
		before := []kad.KeptContact{live(contact(t, 1)), live(contact(t, 2))}
		after := []kad.KeptContact{live(contact(t, 1)), live(contact(t, 3))}
		must(t, k.SaveContacts(ctx, before, nil))
		db.errs = append([]error{kv.ErrReopened}, make([]error, good)...)
		db.errs = append(db.errs, kv.ErrFailed, kv.ErrFailed)
		kept := &kad.Kept{Contacts: after}
		if err := k.SaveContacts(ctx, after, nil); err != nil {
			kept.Contacts = before
		}
		want(t, fmt.Sprintf("after %d writes", good), keep.New(db.DB, "main", kad.Native), kept)
		db.errs = nil
		must(t, k.SaveContacts(ctx, after, nil))
		want(t, "the disk works", keep.New(db.DB, "main", kad.Native), &kad.Kept{Contacts: after})
	}
}

// TestLoadEnds when its context does.
func TestLoadEnds(t *testing.T) {
	k := keep.New(kv.Memory(), "main", kad.Native)
	must(t, k.Commit(t.Context(), kad.Batch{Own: []kad.KeptOwn{own(1)}}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that of the context", err)
	}
}
