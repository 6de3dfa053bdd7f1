package kad_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/actors/kad/keep"
	dhtkad "github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// While the disk takes nothing, records of others are refused with BUSY, those that are stored
// are served, and the status says so. When the disk works again, records are taken again.
//
// conforms: kad 67
func TestDiskIsFull(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		full := errors.New("the disk is full")
		var fails atomic.Bool
		keeper := failing{keep.New(kv.Memory(), "c0", kad.Native), func([]string) error {
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
		store := func(value string, want dhtkad.Status) {
			t.Helper()
			r := &kad.Record{Kind: dhtkad.Immutable, Key: dhtkad.ImmutableKey([]byte(value)), Value: []byte(value)}
			list := n.ask(t, 7, "", kad.Message{Verb: dhtkad.Store, Record: r})
			if len(list) != 1 || list[0].Status != want {
				t.Errorf("%s: got %v, want %v", value, list, want)
			}
			time.Sleep(time.Second) // the commit
			synctest.Wait()
		}
		store("before", dhtkad.OK)
		fails.Store(true)
		store("the first one", dhtkad.OK) // nobody knows yet
		store("the next one", dhtkad.Busy)
		if err := c.Trouble(); !errors.Is(err, full) {
			t.Errorf("got %v, want the error of the disk", err)
		}
		if s := c.Status(t.Context()); !errors.Is(s.Disk, full) || !strings.Contains(s.String(), "degraded") {
			t.Errorf("got %v (%s), want the error of the disk", s.Disk, s.String())
		}
		list := n.ask(t, 7, "", kad.Message{Verb: dhtkad.FindValue, Target: dhtkad.ImmutableKey([]byte("before"))})
		if len(list) != 1 || list[0].Record == nil {
			t.Errorf("got %v, want the record that is stored", list)
		}
		if _, err := c.Put(t.Context(), []byte("own")); !errors.Is(err, kad.ErrStore) || !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, kad.ErrStore)
		}
		fails.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		store("afterwards", dhtkad.OK)
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
			return &kad.Record{Kind: dhtkad.Immutable, Key: dhtkad.ImmutableKey([]byte(value)), Value: []byte(value)}
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
