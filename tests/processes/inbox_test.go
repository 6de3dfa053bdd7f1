package processes

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inboxOf is what gamelan status says of a node's inbox.
func inboxOf(t *testing.T, n *node) (v struct {
	Messages int   `json:"messages"`
	Bytes    int64 `json:"bytes"`
	Waiting  int   `json:"waiting"`
},
) {
	t.Helper()
	out, errs, code := run(t, nil, "status", "--json", "--data-dir", n.dir)
	var s struct {
		Inbox any `json:"inbox"`
	}
	s.Inbox = &v
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		t.Fatalf("status: got exit %d, %v: %s", code, err, errs)
	}
	return v
}

// syncs measures how long syncs of a disk take.
type syncs struct {
	mu    sync.Mutex
	began time.Time // of the one that runs
	most  time.Duration
}

// watchDisk syncs a file in dir again and again until the test ends.
func watchDisk(t *testing.T, dir string) *syncs {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "synced"))
	if err != nil {
		t.Fatal(err)
	}
	s := &syncs{began: time.Now()}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			s.next()
			_, err := f.WriteString("another line\n")
			if err = errors.Join(err, f.Sync()); err != nil {
				t.Error(err)
				return
			}
			s.next()
			select {
			case <-end:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { close(end); wg.Wait(); f.Close() })
	return s
}

// next says that one step ends and another begins: a sync, or the pause before it.
func (s *syncs) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most, s.began = max(s.most, time.Since(s.began)), time.Now()
}

// mayLose is how old a message is at most that a kill may take from an inbox: it is
// written within a second, once the writes before it are synced. Half a second is for
// a busy machine.
func (s *syncs) mayLose() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 1500*time.Millisecond + 3*max(s.most, time.Since(s.began))
}

// TestInboxKilled kills a node that receives numbered lines which nobody reads:
// of those that were confirmed earlier than the last second, and what a sync takes,
// none may be missing, and none comes twice or out of order.
func TestInboxKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills nodes")
	}
	rounds := 2
	if long() {
		rounds = 4
	}
	dir := t.TempDir()
	alice := startNode(t, filepath.Join(dir, "alice"))
	defer alice.stop()
	bob := startNode(t, filepath.Join(dir, "bob"))
	disk := watchDisk(t, dir)
	last := 0 // number that was heard
	for round := range rounds {
		sender := command(t, "send", "--data-dir", alice.dir, bob.seed)
		in, err := sender.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := sender.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.Start(); err != nil {
			t.Fatal(err)
		}
		first := (round + 1) * 1_000_000
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer in.Close()
			for i := 1; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := fmt.Fprintf(in, "%d\n", first+i); err != nil {
					return
				}
				time.Sleep(500 * time.Microsecond)
			}
		})
		var mu sync.Mutex
		confirmed := make(map[int]time.Time)
		wg.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				var n int
				var what string
				if _, err := fmt.Sscan(lines.Text(), &n, &what); err == nil && what == "confirmed" {
					mu.Lock()
					confirmed[first+n] = time.Now()
					mu.Unlock()
				}
			}
		})
		waitFor(t, "some to be confirmed", func() bool { mu.Lock(); defer mu.Unlock(); return len(confirmed) > 500 })
		began := time.Now()
		waitFor(t, "many to be older than what may be lost", func() bool { return time.Since(began) > disk.mayLose()+time.Second })
		mayLose, killed := disk.mayLose(), time.Now()
		bob.signal(syscall.SIGKILL)
		bob.cmd.Wait()
		close(stop)
		sender.Process.Kill()
		wg.Wait()
		sender.Wait()
		bob = startNode(t, bob.dir)
		kept := inboxOf(t, bob).Messages
		heard := make(map[int]bool)
		if kept > 0 {
			text, errs, code := run(t, nil, "listen", "--raw", "--count", strconv.Itoa(kept), "--data-dir", bob.dir)
			if code != 0 {
				t.Fatalf("listen: got exit %d: %s", code, errs)
			}
			for line := range strings.Lines(text) {
				n := number(t, strings.TrimSpace(line))
				if n <= last {
					t.Fatalf("round %d: got %d behind %d", round, n, last)
				}
				last, heard[n] = n, true
			}
		}
		lost, young := 0, 0
		for n, at := range confirmed {
			switch {
			case heard[n]:
			case killed.Sub(at) > mayLose:
				lost++
			default:
				young++
			}
		}
		if lost > 0 {
			t.Errorf("round %d: of %d confirmed messages %d are lost that were confirmed more than %v before the kill", round, len(confirmed), lost, mayLose)
		}
		t.Logf("round %d: %d confirmed, %d kept, %d of the last %v lost", round, len(confirmed), kept, young, mayLose)
	}
	bob.stop()
}
