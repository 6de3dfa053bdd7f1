//go:build unix

package keep_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/internal/killtest"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
)

// The test binary is also the process that is killed: started with these in its
// environment it publishes and stores until somebody ends it.
const (
	envDir   = "GAMELAN_KAD_DIR"
	envFirst = "GAMELAN_KAD_FIRST" // the publication to begin with
)

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))

// published returns publication n. Every value is of another length.
func published(n uint64) (kad.KeptOwn, error) {
	r, err := record.Sign(signer, record.Content{
		Salt: fmt.Append(nil, n), Value: bytes.Repeat(fmt.Appendf(nil, "publication %d ", n), int(n%40)+1), Seq: n, Expires: wall.Add(time.Hour),
	}, wall)
	return kad.KeptOwn{Record: r, Due: wall.Add(time.Duration(n) * time.Second), TTL: time.Hour}, err
}

const (
	killedBatch = 10
	killedKept  = 100 // older publications are forgotten
	killedRoom  = 60  // records of others
)

// publishUntilKilled goes on with what it finds kept. It says "now N" before it writes
// publications up to N, "kept N" when they are acknowledged, and "drop N" before it forgets
// those up to N. Beside each publication it stores a record of others, in a store that has
// room for few: the changes of its store are in the same batches.
func publishUntilKilled(dir string, first uint64) error {
	ctx := context.Background()
	db, err := kv.OpenPebble(dir)
	if err != nil {
		return err
	}
	k := keep.New(db, "killed", kad.Native)
	kept, err := k.Load(ctx)
	if err != nil {
		return err
	}
	own := make(map[uint64]kad.Key)
	for _, o := range kept.Own {
		own[o.Record.Seq] = o.Record.Key
	}
	s := killedStore()
	if gone := offer(s, kept.Records); len(gone) > 0 {
		return fmt.Errorf("%d kept records do not fit", len(gone))
	}
	for ; ; first += killedBatch {
		last := first + killedBatch - 1
		fmt.Println("now", last)
		var b kad.Batch
		for n := first; n <= last; n++ {
			o, err := published(n)
			if err != nil {
				return err
			}
			b.Own = append(b.Own, o)
			own[n] = o.Record.Key
			r := immutable(fmt.Sprintf("record %d", n))
			b.Records = append(b.Records, r)
			b.Removed = append(b.Removed, offer(s, []kad.KeptRecord{r})...)
		}
		b.Sync = true
		if err := k.Commit(ctx, b); err != nil {
			return err
		}
		fmt.Println("kept", last)
		if last <= killedKept {
			continue
		}
		fmt.Println("drop", last-killedKept)
		var forget kad.Batch // not synced
		for n, key := range own {
			if n <= last-killedKept {
				forget.Forgotten = append(forget.Forgotten, key)
				delete(own, n)
			}
		}
		if err := k.Commit(ctx, forget); err != nil {
			return err
		}
	}
}

// killedStore returns a store with room for killedRoom records.
func killedStore() *values.Store {
	limits := values.DefaultLimits(kad.Native)
	limits.Total.Records = killedRoom
	return values.New(kad.ID{}, limits)
}

// offer offers records to a store and returns the keys of those that are not in it
// afterwards, although they were offered or were there.
func offer(s *values.Store, list []kad.KeptRecord) (gone []kad.Key) {
	now := time.Now()
	for _, r := range list {
		out := s.Put(values.Offer{Record: r.Record, Peer: "peer", TTL: time.Hour}, now, wall)
		gone = append(gone, out.Removed...)
		if out.Granted == 0 {
			gone = append(gone, r.Record.Key)
		}
	}
	return gone
}

// TestKilled ends the process again and again at any moment. Every publication that was
// acknowledged and not forgotten is there, whole, with its signature; what is stored for
// others is consistent with the limits of the store: no record is there whose removal was
// in the batch that brought another one.
//
// conforms: kad 48, 52
func TestKilled(t *testing.T) {
	if dir := os.Getenv(envDir); dir != "" {
		first, err := strconv.ParseUint(os.Getenv(envFirst), 10, 64)
		must(t, err)
		t.Fatal(publishUntilKilled(dir, first))
	}
	if testing.Short() {
		t.Skip("-short")
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(18, 1))
	first, most, dropped := uint64(1), uint64(0), uint64(0) // all that was published and forgotten up to now
	for round := range killtest.Kills(5) {
		said := killtest.Run(t, 1+r.IntN(30), time.Duration(r.IntN(3000))*time.Microsecond, envDir+"="+dir, fmt.Sprintf("%s=%d", envFirst, first))
		most, dropped = max(most, said.Now), max(dropped, said.Dropped)
		if checkKilled(t, dir, most, said.Kept, dropped); t.Failed() {
			t.Fatalf("in round %d", round)
		}
		first = said.Kept + 1
	}
	t.Logf("%d publications", most)
}

// checkKilled checks what the process has left.
func checkKilled(t *testing.T, dir string, publishedTo, safe, dropped uint64) {
	t.Helper()
	db, err := kv.OpenPebble(dir)
	must(t, err)
	defer db.Close()
	kept := load(t, keep.New(db, "killed", kad.Native))
	if kept.Damaged > 0 {
		t.Errorf("got %d damaged, want none", kept.Damaged)
	}
	found := make(map[uint64]bool)
	for _, o := range kept.Own {
		n := o.Record.Seq
		want, err := published(n)
		must(t, err)
		if n > publishedTo || !bytes.Equal(o.Record.Value, want.Record.Value) || !o.Due.Equal(want.Due) || record.Check(kad.Native, o.Record, wall) != nil {
			t.Errorf("got publication %d with %.40q, published up to %d, want it as it was", n, o.Record.Value, publishedTo)
		}
		found[n] = true
	}
	for n := dropped + 1; n <= safe; n++ {
		if !found[n] {
			t.Errorf("publication %d is gone, of %d acknowledged and %d forgotten ones", n, safe, dropped)
		}
	}
	if len(kept.Records) > killedRoom {
		t.Errorf("got %d records, want at most the %d that the store has room for", len(kept.Records), killedRoom)
	}
	for _, r := range kept.Records {
		if err := record.Check(kad.Native, r.Record, wall); err != nil {
			t.Errorf("got a record with %v, want it as it was", err)
		}
	}
}
