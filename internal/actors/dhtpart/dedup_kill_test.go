//go:build unix

package dhtpart_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// The test binary is also the process that is killed: started with these in its
// environment it counts messages until somebody ends it.
const (
	envDedupDir   = "GAMELAN_DEDUP_DIR"
	envDedupFirst = "GAMELAN_DEDUP_FIRST" // the message to begin with
)

const killedCapacity = 20_000

// countUntilKilled counts each message twice and says "kept N" when all up to N
// have been drained, and "now N" before it counts those up to N.
func countUntilKilled(dir string, first int) error {
	db, err := kv.OpenPebble(dir)
	if err != nil {
		return err
	}
	n, err := startDedup(db, killedCapacity, nil)
	if err != nil {
		return err
	}
	for ; ; first += 500 {
		last := first + 499
		fmt.Println("now", last)
		for i := first; i <= last; i++ {
			for copies := uint32(1); copies <= 2; copies++ {
				if got := n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, time.Now()); got < copies {
					return fmt.Errorf("message %d: got copy %d, want at least %d", i, got, copies)
				}
			}
		}
		if last%2000 == 0 {
			if err := n.drain(context.Background()); err != nil {
				return err
			}
			fmt.Println("kept", last)
		}
	}
}

// TestDedupKilled ends the process again and again at any moment: what was
// written is there, with its hits, and nothing that was never counted.
//
// conforms: dht 51
func TestDedupKilled(t *testing.T) {
	if dir := os.Getenv(envDedupDir); dir != "" {
		var first int
		if _, err := fmt.Sscan(os.Getenv(envDedupFirst), &first); err != nil {
			t.Fatal(err)
		}
		t.Fatal(countUntilKilled(dir, first))
	}
	if testing.Short() {
		t.Skip("-short")
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(5, 1))
	first := 1
	mayMiss := make(map[int]bool) // counted in the moment before an end
	for round := range 3 {
		now, safe := killAfter(t, dir, first, 1+r.IntN(3), 1+r.IntN(40))
		db := openDedup(t, dir)
		d, damaged, err := dhtpart.LoadDedup(db, killedCapacity, time.Now())
		if err != nil || damaged > 0 {
			t.Fatalf("round %d: got %d damaged, %v, want none", round, damaged, err)
		}
		records := d.All()
		for i, rec := range records {
			if i > 0 && rec.LastHit.Before(records[i-1].LastHit) {
				t.Fatalf("round %d: got records out of order", round)
			}
			if rec.Hits < 1 {
				t.Fatalf("round %d: got %+v, want a count", round, rec)
			}
		}
		highest := safe
		for i := max(1, now-killedCapacity+1); i <= now+1; i++ {
			switch got := d.Seen(dedupHash(i)); {
			case i > now && got > 0:
				t.Fatalf("round %d: got %d copies of message %d, which was never counted", round, got, i)
			case i <= safe && got < 2 && !mayMiss[i]:
				t.Fatalf("round %d: got %d copies of message %d, which was kept up to %d", round, got, i, safe)
			case got > 0:
				highest = max(highest, i)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: counted up to %d, kept for sure to %d, found to %d", round, now, safe, highest)
		for i := safe + 1; i <= now; i++ {
			mayMiss[i] = true
		}
		first = now + 1
	}
}

// killAfter runs the process until it has said so many times that it has kept
// something, and some more lines, and kills it. It returns the last messages that
// it was about to count and has kept.
func killAfter(t *testing.T, dir string, first, times, lines int) (now, safe int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDedupKilled$")
	cmd.Env = append(os.Environ(), envDedupDir+"="+dir, fmt.Sprintf("%s=%d", envDedupFirst, first))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() {
		var n int
		switch {
		case scan(said.Text(), "now %d", &n):
			now = n
		case scan(said.Text(), "kept %d", &n):
			safe = n
			times--
		default:
			t.Errorf("got %q from the process, want what it does", said.Text())
		}
		if times <= 0 {
			if lines--; lines == 0 {
				_ = cmd.Process.Kill()
			}
		}
	}
	_ = cmd.Wait()
	if times > 0 || lines > 0 {
		t.Fatalf("the process ended by itself, having kept %d of %d", safe, now)
	}
	return now, safe
}

func scan(text, format string, n *int) bool {
	_, err := fmt.Sscanf(text, format, n)
	return err == nil
}
