package tests

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestExampleQueue kills the worker of examples/queue while three producers send: no job is lost, none is
// kept twice, and only what was in hand at a kill is handled again, as a further attempt. GAMELAN_LONG=1 sends
// 20,000 jobs and more.
func TestExampleQueue(t *testing.T) {
	t.Parallel()
	jobs, most := 2000, 8 // of each producer; kills
	if os.Getenv("GAMELAN_LONG") != "" {
		jobs, most = 7000, 20
	}
	const producers, inHand = 3, 4096 // see gamelan.Inbox
	program, dir := build(t, "queue"), filepath.Join(t.TempDir(), "worker")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	start := func() (worker *exec.Cmd, address string) {
		worker = exec.CommandContext(ctx, program, "-dir", dir)
		worker.Stdout = out
		said, err := worker.StderrPipe()
		if err == nil {
			err = worker.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "::") {
				address = lines.Text()
				break
			}
		}
		go func() { // the rest, if there is any
			for lines.Scan() {
			}
		}()
		return worker, address
	}
	worker, address := start()
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			b, err := exec.CommandContext(ctx, program, "-to", address, "-jobs", fmt.Sprint(jobs), "-name", fmt.Sprint(p)).CombinedOutput()
			if err != nil || !strings.Contains(string(b), fmt.Sprint(jobs, " jobs are kept")) {
				t.Errorf("producer %d: %v: %s", p, err, b)
			}
		})
	}
	sent := make(chan struct{})
	go func() { wg.Wait(); close(sent) }()
	kills := 0
	for ; kills < most; kills++ {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		worker.Process.Kill()
		worker.Wait()
		worker, _ = start()
	}
	<-sent
	done := make(map[string]int) // how many ids each job has
	for {
		clear(done)
		files, err := os.ReadDir(filepath.Join(dir, "done"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if b, err := os.ReadFile(filepath.Join(dir, "done", f.Name())); err == nil && len(b) > 0 {
				done[string(b)]++
			}
		}
		if len(done) >= producers*jobs || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	worker.Process.Kill()
	worker.Wait()
	if len(done) != producers*jobs {
		t.Errorf("got %d jobs, want %d", len(done), producers*jobs)
	}
	for job, ids := range done {
		if ids != 1 {
			t.Errorf("job %s was kept %d times", job, ids)
		}
	}
	lines, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	attempts := make(map[string]int)
	for line := range strings.Lines(string(lines)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue // a kill has cut it off
		}
		id := f[0] + f[1]
		n, err := strconv.Atoi(f[2])
		if err != nil || n <= attempts[id] {
			t.Errorf("job %s: attempt %s follows attempt %d", f[3], f[2], attempts[id])
		}
		attempts[id] = n
	}
	again := bytes.Count(lines, []byte("\n")) - len(done)
	t.Logf("%d jobs, %d kills, %d handled again", len(done), kills, again)
	if again > kills*inHand {
		t.Errorf("got %d jobs handled again, want at most %d for each kill", again, inHand)
	}
}
