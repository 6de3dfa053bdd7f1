//go:build unix

package durable

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/killtest"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// start runs the child and returns it with what it says, and its complaints.
func start(t *testing.T, kind, dir string, base uint64) (cmd *exec.Cmd, out *bufio.Reader, errs *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+kind, envDir+"="+dir, fmt.Sprintf("%s=%d", envBase, base))
	errs = new(bytes.Buffer)
	cmd.Stderr = errs
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(pipe), errs
}

// load opens the store that a child has left.
func load(t *testing.T, dir string) *peerstore.Store {
	t.Helper()
	db, err := kv.OpenPebble(filepath.Join(dir, "peers"))
	if err != nil {
		t.Fatalf("after a kill: got %v, want the store", err)
	}
	s, err := peerstore.Open(db, peerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Damaged() != 0 {
		t.Errorf("after a kill: got %d damaged records, want none", s.Damaged())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// worker is what a worker of the child has been heard to do.
type worker struct {
	pairs   [pairs]uint64   // the change that is there, 0: none
	singles [singles]uint64 // likewise; forgotten is none
	tried   uint64          // a change that is not acknowledged; 0: none
}

// slot returns where the change counts, and what is there after it.
func (w *worker) slot(i uint64) (at *uint64, after uint64) {
	if i%3 != 0 {
		return &w.pairs[pairOf(i)], i
	}
	if at = &w.singles[i/3%singles]; i/3/singles%2 == 0 {
		after = i
	}
	return at, after
}

// compare looks for what worker n has done in the store, and takes what it finds
// for what is there from now on.
func (w *worker) compare(t *testing.T, v peerstore.View, n int) {
	t.Helper()
	same := func(what string, at *uint64, got uint64) {
		t.Helper()
		if maybe, after := w.slot(w.tried); got != *at && (w.tried == 0 || maybe != at || after != got) {
			t.Errorf("worker %d, %s: got change %d, want %d, which was acknowledged last (%d was under way)", n, what, got, *at, w.tried)
		}
	}
	var found worker
	for pair := range pairs {
		one, other := number(t, v, pairKey(n, pair, 0)), number(t, v, pairKey(n, pair, 1))
		if one != other {
			t.Errorf("worker %d, pair %d: got changes %d and %d, want the same: it was one change", n, pair, one, other)
		}
		same(fmt.Sprint("pair ", pair), &w.pairs[pair], one)
		found.pairs[pair] = one
	}
	for single := range singles {
		got := number(t, v, singleKey(n, single))
		same(fmt.Sprint("single ", single), &w.singles[single], got)
		found.singles[single] = got
	}
	*w = found
}

// number is the change that a record tells of.
func number(t *testing.T, v peerstore.View, key identity.PublicKey) uint64 {
	t.Helper()
	p, ok := v.Get(key.NodeID())
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(p.BanReason+p.UserAgent, 10, 64)
	if err != nil {
		t.Errorf("got %q and %q, want a number", p.BanReason, p.UserAgent)
	}
	return n
}

// TestKill has a node killed under load after a random number of changes, or while
// it starts, again and again:
// what it acknowledged is there, of what it did not the whole or nothing, and
// the store always opens.
//
// conforms: V 31 (a ban that was acknowledged holds)
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	base := uint64(1)
	var did [workers]worker
	acknowledged := 0
	for round := range killtest.Kills(10) {
		cmd, out, errs := start(t, loadChild, dir, base)
		left, starting := 1+r.IntN(400), r.IntN(8) == 0 // changes to be acknowledged before the kill
		if round == 0 {
			starting = false
		}
		var timer *time.Timer
		if starting {
			timer = time.AfterFunc(time.Duration(r.IntN(100))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		} else {
			if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
				t.Fatalf("round %d: got %q, %v, want a node\n%s", round, line, err, errs)
			}
		}
		said(out, func(words []string) {
			if len(words) != 3 {
				return // ready
			}
			n, _ := strconv.Atoi(words[1])
			i, _ := strconv.ParseUint(words[2], 10, 64)
			base = max(base, i+1)
			w := &did[n]
			if words[0] == "try" {
				w.tried = i
				return
			}
			at, after := w.slot(i)
			*at, w.tried = after, 0
			acknowledged++
			if left--; left == 0 && !starting {
				_ = cmd.Process.Kill() // and read what it has said until then
			}
		})
		if timer != nil {
			timer.Stop()
		}
		_ = cmd.Wait()
		if errs.Len() > 0 {
			t.Fatalf("round %d: %s", round, errs)
		}
		s := load(t, dir)
		for n := range did {
			did[n].compare(t, s.View(), n)
		}
		if t.Failed() {
			t.Fatalf("round %d, killed after %d changes in all (seed %d)", round, acknowledged, seed)
		}
	}
	t.Logf("%d changes acknowledged", acknowledged)
	if acknowledged == 0 {
		t.Error("got no change acknowledged, want many")
	}
}

// TestFullDisk has a node fill its disk, and killed after there was room again.
func TestFullDisk(t *testing.T) {
	t.Parallel() // it waits for the disk
	dir := t.TempDir()
	cmd, out, errs := start(t, fullChild, dir, 0)
	var acknowledged []int
	said(out, func(words []string) {
		if len(words) == 2 {
			i, _ := strconv.Atoi(words[1])
			acknowledged = append(acknowledged, i)
		}
	})
	_ = cmd.Wait()
	if errs.Len() > 0 || len(acknowledged) < 400 {
		t.Fatalf("got %d peers acknowledged, want many\n%s", len(acknowledged), errs)
	}
	v := load(t, dir).View()
	for _, i := range acknowledged {
		if p, _ := v.Get(filling(i).ID); p.BanReason != filling(i).BanReason {
			t.Fatalf("got %+v as peer %d of %d, want what was acknowledged", p, i, len(acknowledged))
		}
	}
}
