package peerstore

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
)

var makeFixture = flag.Bool("make-fixture", false, "make testdata/schema<n> for the present schema, before it is released")

// fixture is what the stores in testdata hold.
func fixture(t *testing.T, db kv.DB) {
	s := open(t, db, Options{})
	for i := range uint64(20) {
		p := FromClaim(claim(key(i), int64(i), a1, a2), Discovery)
		p.Origin = ExemptOrigin + Origin(i%2)<<32 // since schema 3
		p.UserAgent, p.Protocols = "tari/basenode/1.7.0", []protocol.ID{"t/msg/0.1", "t/dht/1"}
		add(t, s, begin.Add(time.Duration(i)*time.Second), p)
	}
	s.Seen(begin, key(3).NodeID(), addr(a2), 30*time.Millisecond)
	s.DialFailed(begin, key(4).NodeID(), addr(a2), "refused")
	s.Ban(begin, key(6), begin.Add(time.Hour), "bad")
	s.BanNode(begin, identity.NodeID{1, 2, 3}, begin.Add(2*time.Hour), "worse")
	commit(t, s)
}

// TestStoresOfEveryReleasedSchemaOpen upgrades a copy of each store in testdata,
// and finds everything in it.
func TestStoresOfEveryReleasedSchemaOpen(t *testing.T) {
	if *makeFixture {
		dir := filepath.Join("testdata", "schema"+strconv.Itoa(kv.Schema))
		db, err := kv.OpenPebble(dir)
		if err != nil {
			t.Fatal(err)
		}
		fixture(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
			t.Fatal(err)
		}
	}
	for schema := 1; schema <= kv.Schema; schema++ {
		name := "schema" + strconv.Itoa(schema)
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "peers")
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
				t.Fatalf("got %v, want a store of that schema in testdata", err)
			}
			r, err := Check(dir)
			if err != nil || r.Schema != schema || r.Peers != 21 || r.Damaged != 0 || r.Upgrade != (schema < kv.Schema) {
				t.Errorf("dry run: got %+v, %v, want schema %d and 21 peers", r, err, schema)
			}
			db, err := kv.OpenPebble(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			s := open(t, db, Options{})
			if s.Damaged() != 0 || s.View().Len() != 21 {
				t.Errorf("got %d peers and %d damaged, want 21 and none", s.View().Len(), s.Damaged())
			}
			if p := get(t, s, key(3).NodeID()); p.Addresses[0].Latency.Mean != 30*time.Millisecond || p.Claim == nil || len(p.Protocols) != 2 {
				t.Errorf("got %+v, want the peer with its statistics and claim", p)
			}
			if p := get(t, s, key(6).NodeID()); !p.Banned(begin) || p.BanReason != "bad" {
				t.Errorf("got %+v, want the ban", p)
			}
			if p := get(t, s, key(3).NodeID()); schema >= 3 != (p.Origin != 0) {
				t.Errorf("got origin %s, want one since schema 3", p.Origin)
			}
			if _, err := os.Stat(r.Backup); r.Upgrade && err != nil {
				t.Errorf("got %v, want a copy from before the upgrade", err)
			}
		})
	}
}
