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

	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

// keepPort has a node in dir, which is new, listen on a port that nobody takes while the node is away.
func keepPort(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t) + "\n" // as a node writes it that had this port before
	if err := os.WriteFile(filepath.Join(dir, "listen"), []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freeAddress returns an address of a port that nobody takes while its listener is away.
func freeAddress(t *testing.T) string {
	t.Helper()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[0])
}

// TestExampleQueue kills the worker of examples/queue while three producers send: no job is lost, none is
// kept twice, and only what was in hand at a kill is handled again, as a further attempt. A fourth producer
// is killed as well and sends all its jobs again: none is lost, and none has its effect twice. GAMELAN_LONG=1
// sends 20,000 jobs and more.
func TestExampleQueue(t *testing.T) {
	t.Parallel()
	jobs, most, ends := 1000, 5, 2 // of each producer; kills of the worker, and of a producer
	if os.Getenv("GAMELAN_LONG") != "" {
		jobs, most, ends = 7000, 20, 10
	}
	const producers, inHand = 3, 4096 // see gamelan.Inbox
	program, dir := build(t, "queue"), filepath.Join(t.TempDir(), "worker")
	keepPort(t, dir)
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
	produce := func(name string) *exec.Cmd {
		return exec.CommandContext(ctx, program, "-to", address, "-jobs", fmt.Sprint(jobs), "-name", name)
	}
	toTheEnd := func(name string) {
		b, err := produce(name).CombinedOutput()
		if err != nil || !strings.Contains(string(b), fmt.Sprint(jobs, " jobs are kept")) {
			t.Errorf("producer %s: %v: %s", name, err, b)
		}
	}
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() { toTheEnd(fmt.Sprint(p)) })
	}
	const killed = "killed"
	wg.Go(func() {
		for range ends {
			p := produce(killed)
			if err := p.Start(); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(100*time.Millisecond + time.Duration(rand.IntN(300))*time.Millisecond)
			p.Process.Kill()
			p.Wait()
		}
		toTheEnd(killed)
	})
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
	want := (producers + 1) * jobs
	for done := 0; done < want && ctx.Err() == nil; {
		files, err := os.ReadDir(filepath.Join(dir, "done"))
		if err != nil {
			t.Fatal(err)
		}
		if done = len(files); done > want {
			t.Fatalf("got %d jobs, want %d", done, want)
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second) // what would be handled again
	worker.Process.Kill()
	worker.Wait()
	lines, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	attempts := make(map[string]int)       // by id
	ids := make(map[string]map[string]int) // the attempts of each job, by id
	for line := range strings.Lines(string(lines)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			t.Errorf("got %q, want a sender, an id, an attempt and a job", line)
			continue
		}
		id, job := f[0]+f[1], f[3]
		n, err := strconv.Atoi(f[2])
		if err != nil || n <= attempts[id] {
			t.Errorf("job %s: attempt %s follows attempt %d", job, f[2], attempts[id])
		}
		attempts[id] = n
		if ids[job] == nil {
			ids[job] = make(map[string]int)
		}
		ids[job][id] = n
	}
	sentAgain := 0
	for job, of := range ids {
		most := 1
		if strings.HasPrefix(job, killed) {
			most += ends
		}
		if len(of) > most {
			t.Errorf("job %s was kept %d times, want at most %d", job, len(of), most)
		}
		sentAgain += len(of) - 1
	}
	again := bytes.Count(lines, []byte("\n")) - len(attempts)
	t.Logf("%d jobs, %d kills of the worker: %d handled again; %d kills of a producer: %d sent again", len(ids), kills, again, ends, sentAgain)
	if len(ids) != want {
		t.Errorf("got %d jobs, want %d", len(ids), want)
	}
	if again > kills*inHand {
		t.Errorf("got %d jobs handled again, want at most %d for each kill", again, inHand)
	}
}
