package kad_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// While the disk takes nothing, records of others are refused with BUSY, those that are stored
// are served, and the status says so. It is tried again with ever longer pauses. When the disk
// works again, records are taken again.
//
// conforms: kad 67
func TestDiskIsFull(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		full := errors.New("the disk is full")
		var fails atomic.Bool
		var commits atomic.Int32
		keeper := failing{keep.New(kv.Memory(), "c0", kad.Native), func([]string) error {
			commits.Add(1)
			if fails.Load() {
				return full
			}
			return nil
		}}
		n := &byHand{limits: kad.Limits{Private: true}}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		c := l.add(func(c *kad.Config) {
			c.Networks, c.PublicKey, c.Keeper = []kad.Network{n}, kad.MemoryKey(1<<40), keeper
		})
		synctest.Wait()
		store := func(value string, want overlay.Status) {
			t.Helper()
			r := &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey([]byte(value)), Value: []byte(value)}
			list := n.ask(t, 7, "", kad.Message{Verb: overlay.Store, Record: r})
			if len(list) != 1 || list[0].Status != want {
				t.Errorf("%s: got %v, want %v", value, list, want)
			}
			time.Sleep(time.Second) // the commit
			synctest.Wait()
		}
		store("before", overlay.OK)
		fails.Store(true)
		store("the first one", overlay.OK) // nobody knows yet
		store("the next one", overlay.Busy)
		if err := c.Trouble(); !errors.Is(err, full) {
			t.Errorf("got %v, want the error of the disk", err)
		}
		if s := c.Status(t.Context()); !errors.Is(s.Disk, full) || !strings.Contains(s.String(), "degraded") {
			t.Errorf("got %v (%s), want the error of the disk", s.Disk, s.String())
		}
		list := n.ask(t, 7, "", kad.Message{Verb: overlay.FindValue, Target: overlay.ImmutableKey([]byte("before"))})
		if len(list) != 1 || list[0].Record == nil {
			t.Errorf("got %v, want the record that is stored", list)
		}
		if _, err := c.Put(t.Context(), []byte("own")); !errors.Is(err, kad.ErrStore) || !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, kad.ErrStore)
		}
		before := commits.Load()
		time.Sleep(5 * time.Minute)
		if n := commits.Load() - before; n < 25 || n > 40 {
			t.Errorf("got %d commits in five minutes of a disk that takes nothing, want one in ten seconds", n)
		}
		fails.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		store("afterwards", overlay.OK)
		before = commits.Load()
		store("at once", overlay.OK)
		if n := commits.Load() - before; n != 1 {
			t.Errorf("got %d commits within a second of a disk that works, want one", n)
		}
		if s := c.Status(t.Context()); s.Disk != nil || c.Trouble() != nil {
			t.Errorf("got %v and %v, want a disk that works", s.Disk, c.Trouble())
		}
	})
}

// The actor store reads the disk again when it restarts: what the memory does not have comes
// back, what was forgotten does not, and calls wait for the end of the reading.
func TestStoreReadsTheDiskAgain(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		db := kv.Memory()
		n := &byHand{limits: kad.Limits{Private: true}}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{Fault: faults})
		c := l.add(func(c *kad.Config) {
			c.Networks, c.PublicKey, c.Keeper = []kad.Network{n}, kad.MemoryKey(1<<40), keep.New(db, "c0", kad.Native)
		})
		put := func(value string) kad.Key {
			t.Helper()
			r, err := c.Put(t.Context(), []byte(value))
			if err != nil && !errors.Is(err, kad.ErrNoPeers) {
				t.Fatal(err)
			}
			return r.Key
		}
		stays, forgotten := put("stays"), put("forgotten")
		if err := c.Forget(t.Context(), forgotten); err != nil {
			t.Fatal(err)
		}
		record := func(value string) *kad.Record {
			return &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey([]byte(value)), Value: []byte(value)}
		}
		held, own := record("only on the disk"), record("published, and only on the disk")
		time.Sleep(time.Second)
		if err := keep.New(db, "c0", kad.Native).Commit(t.Context(), kad.Batch{
			Records: []kad.KeptRecord{{Record: held, Until: time.Now().Add(time.Hour)}}, Own: []kad.KeptOwn{{Record: own, Due: time.Now().Add(time.Hour)}},
		}); err != nil {
			t.Fatal(err)
		}
		l.kill(c, "/store")
		time.Sleep(10 * time.Second)
		after := put("after the restart")
		for _, key := range []kad.Key{stays, held.Key, own.Key, after} {
			if kad.Local(t, c, key) == nil {
				t.Errorf("got no record under %s", key.Short())
			}
		}
		if r := kad.Local(t, c, forgotten); r != nil {
			t.Errorf("got %q, which was forgotten", r.Value)
		}
		list, err := c.Own(t.Context())
		if err != nil || len(list) != 3 {
			t.Errorf("got %d publications and %v, want 3", len(list), err)
		}
		if s := c.Status(t.Context()); s.Records != 1 {
			t.Errorf("got %d records of others, want the one of the disk", s.Records)
		}
	})
}

// signedRecord returns a record that is valid at the time wall.
func signedRecord(t *testing.T, signer ed25519.PrivateKey, wall time.Time, life time.Duration, value string) *kad.Record {
	t.Helper()
	r, err := record.Sign(signer, record.Content{Seq: 1, Value: []byte(value), Expires: wall.Add(life), Tombstone: value == ""}, wall)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A client that starts before its clock is set finds dates on its disk that are thirty years
// ahead. It publishes its own values at once, and keeps what others have stored here.
//
// conforms: kad 67
func TestClockIsNotSetAtTheStart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		set := time.Now().AddDate(30, 0, 0) // as the clock was set in the run before
		_, signer, _ := ed25519.GenerateKey(nil)
		_, publisher, _ := ed25519.GenerateKey(nil)
		held := signedRecord(t, signer, set, 24*time.Hour, "of another")
		own := signedRecord(t, publisher, set, 24*time.Hour, "own, signed")
		fixed := &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey([]byte("own")), Value: []byte("own")}
		keeper := keep.New(kv.Memory(), "c1", kad.Native)
		if err := keeper.Commit(t.Context(), kad.Batch{
			Records: []kad.KeptRecord{{Record: held, Until: set.Add(time.Hour)}},
			Own:     []kad.KeptOwn{{Record: own, Due: set.Add(time.Hour), TTL: 24 * time.Hour}, {Record: fixed, Due: set.Add(time.Hour)}},
		}); err != nil {
			t.Fatal(err)
		}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		l.add(nil)
		c := l.add(func(c *kad.Config) { c.Keeper = keeper })
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := kad.Local(t, l.clients[0], fixed.Key); r == nil {
			t.Error("got that the other client does not store the publication, want that it was published")
		}
		if n := c.Stats().Published; n == 0 {
			t.Error("got no publication of the client's own values")
		}
		if r := kad.Local(t, c, held.Key); r == nil {
			t.Error("got that the record of another node is gone")
		}
		list, err := c.Own(t.Context())
		if err != nil || len(list) != 2 {
			t.Errorf("got %v and %v, want both publications", list, err)
		}
		for _, p := range list {
			if next := time.Until(p.Due); next > 14*time.Hour {
				t.Errorf("got a publication that is due in %v, want half a day", next)
			}
		}
		if kept, err := keeper.Load(t.Context()); err != nil || len(kept.Records) == 0 {
			t.Errorf("got %v and %v on the disk, want the record of another node", kept, err)
		}
	})
}

// Records whose life ended while the client was off leave the disk at the next start, and so
// do those beyond the limit. What is stored stays there.
func TestExpiredRecordsLeaveTheDisk(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		db := kv.Memory()
		_, signer, _ := ed25519.GenerateKey(nil)
		batch := kad.Batch{Records: []kad.KeptRecord{{
			Record: signedRecord(t, signer, time.Now(), time.Hour, "signed"), Until: time.Now().Add(48 * time.Hour),
		}}}
		for _, life := range []time.Duration{time.Hour, 30 * time.Hour, 30 * time.Hour, 30 * time.Hour} {
			value := fmt.Appendf(nil, "value %d", len(batch.Records))
			batch.Records = append(batch.Records, kad.KeptRecord{
				Record: &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey(value), Value: value}, Until: time.Now().Add(life),
			})
		}
		if err := keep.New(db, "c0", kad.Native).Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		n := &byHand{limits: kad.Limits{Private: true}}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		c := l.add(func(c *kad.Config) {
			c.Networks, c.PublicKey, c.Keeper = []kad.Network{n}, kad.MemoryKey(1<<40), keep.New(db, "c0", kad.Native)
			c.Limits = new(values.DefaultLimits(kad.Native))
			c.Limits.Total.Records = 2
		})
		time.Sleep(time.Second)
		synctest.Wait()
		kept, err := keep.New(db, "c0", kad.Native).Load(t.Context())
		if err != nil || len(kept.Records) != 2 {
			t.Errorf("got %d records on the disk and %v, want the 2 that are stored", len(kept.Records), err)
		}
		for _, r := range kept.Records {
			if kad.Local(t, c, r.Record.Key) == nil {
				t.Errorf("got %q on the disk, which is not stored", r.Record.Value)
			}
		}
	})
}

// keptOnce is a Keeper with something on its disk, which it gives away.
type keptOnce struct {
	kad.Keeper
	kept *kad.Kept
}

func (k *keptOnce) Load(ctx context.Context) (*kad.Kept, error) {
	if kept := k.kept; kept != nil {
		k.kept = nil
		return kept, nil
	}
	return k.Keeper.Load(ctx)
}

// A record of the disk whose life has ended is not kept in memory, nor is a publication that was
// forgotten.
func TestLoadedRecordsAreReleased(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		loaded := func() (list []weak.Pointer[kad.Record], kept *kad.Kept) {
			kept = new(kad.Kept)
			for i := range 2 {
				value := fmt.Appendf(nil, "value %d", i)
				r := &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey(value), Value: value}
				if list = append(list, weak.Make(r)); i == 0 {
					kept.Records = []kad.KeptRecord{{Record: r, Until: time.Now().Add(time.Hour)}}
				} else {
					kept.Own = []kad.KeptOwn{{Record: r, Due: time.Now().Add(time.Hour)}}
				}
			}
			return list, kept
		}
		list, kept := loaded()
		keeper := &keptOnce{keep.New(kv.Memory(), "c0", kad.Native), kept}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		c := l.add(func(c *kad.Config) { c.Keeper = keeper })
		if s := c.Status(t.Context()); s.Records != 1 || s.Own != 1 {
			t.Fatalf("got %d records and %d publications, want one of each", s.Records, s.Own)
		}
		if err := c.Forget(t.Context(), overlay.ImmutableKey([]byte("value 1"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		runtime.GC()
		for i, r := range list {
			if r.Value() != nil {
				t.Errorf("record %d: got it in memory after its end", i)
			}
		}
	})
}
