//go:build unix

package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/killtest"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// The test binary is also the process that is killed: started with these in its
// environment it stores messages until somebody ends it.
const (
	envDir   = "GAMELAN_STORED_DIR"
	envFirst = "GAMELAN_STORED_FIRST" // the message to begin with
)

// offered returns message n as a peer brings it, whatever number it will be stored under.
func offered(n uint64) (saf.Record, []byte) {
	envelope := bytes.Repeat(fmt.Appendf(nil, "message %d ", n), int(n%40)+1)
	r := saf.Record{
		Hash: sha256.Sum256(fmt.Append(nil, n)), Source: identity.NodeID{2}, StoredAt: 1_700_000_000,
		Size: saf.Size(len(envelope)), Priority: saf.High,
	}
	binary.BigEndian.PutUint64(r.Destination[:], n) // so that a record says which message it is
	return r, envelope
}

func offeredAs(r saf.Record) (n uint64) { return binary.BigEndian.Uint64(r.Destination[:]) }

const (
	killedBatch = 20
	killedKept  = 300 // older messages are deleted
)

// storeUntilKilled offers message after message to what it finds stored. It says "now N"
// before it stores those up to N, "kept N" when they are synced, and "drop N" before it
// deletes those up to N.
func storeUntilKilled(dir string, first uint64) error {
	db, err := kv.OpenPebble(dir)
	if err != nil {
		return err
	}
	s, err := store.Open(db.Client())
	if err != nil {
		return err
	}
	x, now, wall := saf.NewIndex(saf.Default()), time.Now(), time.Unix(1_700_000_000, 0)
	have := make(map[uint64]bool) // messages
	l, err := s.Load(func(r saf.Record) {
		x.Load(now, wall, r)
		have[offeredAs(r)] = true
	})
	if err != nil {
		return err
	}
	x.From(l.Next)
	for ; ; first += killedBatch {
		last := first + killedBatch - 1
		fmt.Println("now", last)
		var added []saf.Ref
		b := store.Batch{Round: l.Round}
		for n := first; n <= last; n++ {
			r, envelope := offered(n)
			ref, gone, why := x.Add(now, r)
			switch {
			case len(gone) > 0 || why != 0 && why != saf.AlreadyStored:
				return fmt.Errorf("message %d: %v, %v made way", n, why, gone)
			case why == 0:
				r.Seq, have[n], added = ref.Seq, true, append(added, ref)
				b.Add = append(b.Add, store.Message{Record: r, Envelope: envelope})
			}
		}
		if err := s.Write(&b, true); err != nil {
			return err
		}
		fmt.Println("kept", last)
		after := store.Batch{Round: l.Round} // not synced
		for _, r := range x.Confirmed(now, added[len(added)/2:]) {
			after.Confirm = append(after.Confirm, store.Confirmation{Seq: r.Seq, Sent: x.Sent(r)})
		}
		if last > killedKept {
			fmt.Println("drop", last-killedKept)
			for n := range have {
				if n <= last-killedKept {
					r, _ := offered(n)
					after.Delete = append(after.Delete, x.Purge(r.Destination, 2)...)
					delete(have, n)
				}
			}
		}
		if err := s.Write(&after, false); err != nil {
			return err
		}
	}
}

// TestKilled ends the process again and again at any moment: every message that was
// acknowledged is there, whole, once; nothing is there that was not offered.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(envDir); dir != "" {
		first, err := strconv.ParseUint(os.Getenv(envFirst), 10, 64)
		must(t, err)
		t.Fatal(storeUntilKilled(dir, first))
	}
	if testing.Short() {
		t.Skip("-short")
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(17, 1))
	first, most, dropped := uint64(1), uint64(0), uint64(0) // all that was offered and deleted up to now
	for round := range killtest.Kills(5) {
		said := killtest.Run(t, 1+r.IntN(30), time.Duration(r.IntN(3000))*time.Microsecond, envDir+"="+dir, fmt.Sprintf("%s=%d", envFirst, first))
		most, dropped = max(most, said.Now), max(dropped, said.Dropped)
		if checkKilled(t, dir, most, said.Kept, dropped); t.Failed() {
			t.Fatalf("in round %d", round)
		}
		first = max(killedBatch, said.Kept) - killedBatch + 1 // what may be lost, and some copies
	}
	t.Logf("%d messages offered", most)
}

// checkKilled checks what the process has left: of all messages that were ever offered, those
// that were acknowledged and not deleted are there.
func checkKilled(t *testing.T, dir string, offeredTo, safe, dropped uint64) {
	t.Helper()
	db, err := kv.OpenPebble(dir)
	must(t, err)
	defer db.Close()
	s, err := store.Open(db.Client())
	must(t, err)
	found := make(map[uint64]bool)
	l, err := s.Load(func(got saf.Record) {
		n := offeredAs(got)
		want, envelope := offered(n)
		if want.Seq, want.Sent = got.Seq, got.Sent; got != want || n > offeredTo || found[n] {
			t.Errorf("got %+v, offered up to %d, found before: %v, want %+v once", got, offeredTo, found[n], want)
		}
		found[n] = true
		if got, err := s.Envelopes([]uint64{got.Seq}); err != nil || !bytes.Equal(got[0], envelope) {
			t.Errorf("message %d: got %.50q, %v, want %.50q", n, got, err, envelope)
		}
	})
	if err != nil || l.Damaged > 0 {
		t.Errorf("got %d damaged, %v, want none", l.Damaged, err)
	}
	for n := dropped + 1; n <= safe; n++ {
		if !found[n] {
			t.Errorf("message %d is gone, of %d acknowledged and %d deleted ones", n, safe, dropped)
		}
	}
}
