// Package processes runs the gamelan program itself: two nodes as two
// processes, sometimes with a proxy between them that cuts.
package processes

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/waittest"
)

// programs is where the program was built; "": it was not.
var programs string

var binary = sync.OnceValues(func() (_ string, err error) {
	if programs, err = os.MkdirTemp("", "gamelan-test"); err != nil {
		return "", err
	}
	path := filepath.Join(programs, "gamelan")
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "github.com/gamelan-p2p/gamelan/cmd/gamelan").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	waittest.Parallel()
	os.Setenv("GAMELAN_CONFIG", os.DevNull) // not that of whoever runs the tests
	code := m.Run()
	if programs != "" {
		os.RemoveAll(programs)
	}
	os.Exit(code)
}

// long reports whether the tests run at full size.
func long() bool { return os.Getenv("GAMELAN_LONG") != "" }

// command is a run of the program that ends with the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, path, args...)
}

// run runs the program to its end and returns what it wrote.
func run(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("gamelan %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), code
}

// node is a running "gamelan node".
type node struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	seed string // KEY::ADDRESS
	errs bytes.Buffer
}

// startNode starts a node in dir and waits until it says that it runs.
func startNode(t *testing.T, dir string, args ...string) *node {
	t.Helper()
	return startNodeTo(t, nil, dir, args...)
}

// startNodeTo is startNode of a node that logs to a file, if there is one.
func startNodeTo(t *testing.T, log *os.File, dir string, args ...string) *node {
	t.Helper()
	return startNodeWith(t, log, "", dir, args...)
}

// startNodeWith is startNodeTo behind commands of the shell, such as ulimit, if there are any.
func startNodeWith(t *testing.T, log *os.File, before, dir string, args ...string) *node {
	t.Helper()
	n := &node{t: t, dir: dir}
	n.cmd = command(t, append([]string{"node", "--data-dir", dir}, args...)...)
	if before != "" {
		n.cmd.Args = append([]string{"sh", "-c", before + ` && exec "$@"`, "sh"}, n.cmd.Args...)
		n.cmd.Path = "/bin/sh"
	}
	n.cmd.Stderr = &n.errs
	if log != nil {
		n.cmd.Stderr = log
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 2 && f[0] == "address" {
			n.seed = f[1]
		}
		if strings.HasPrefix(lines.Text(), "Running.") {
			go io.Copy(io.Discard, out)
			return n
		}
	}
	n.cmd.Wait()
	t.Fatalf("node in %s did not start: %s", dir, n.errs.String())
	return nil
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// stop ends the node as an operator would and expects that it obeys in time.
func (n *node) stop() {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- n.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			n.t.Errorf("node in %s: got %v, want exit 0; it wrote: %s", n.dir, err, n.errs.String())
		}
	case <-time.After(time.Minute):
		n.t.Fatalf("node in %s did not stop within a minute of SIGTERM", n.dir)
	}
}

// listening collects the bodies that arrive at a node.
type listening struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

// listens matches the tree of a node to which somebody listens.
var listens = regexp.MustCompile(`[0-9] listeners?\b`)

func listen(t *testing.T, n *node) *listening {
	t.Helper()
	l := &listening{more: make(chan struct{}, 1)}
	cmd := command(t, "listen", "--raw", "--data-dir", n.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// What arrives before somebody listens is kept only in part.
	waitFor(t, "somebody to listen", func() bool { return listens.MatchString(tree(t, n)) })
	go func() {
		defer cmd.Wait()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			l.mu.Lock()
			l.lines = append(l.lines, lines.Text())
			l.mu.Unlock()
			select {
			case l.more <- struct{}{}:
			default:
			}
		}
	}()
	return l
}

func (l *listening) snapshot() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// settle returns what has arrived once that is enough, or once nothing more has
// come for a minute.
func (l *listening) settle(enough func(lines []string) bool) []string {
	for {
		if lines := l.snapshot(); enough(lines) {
			return lines
		}
		select {
		case <-l.more:
		case <-time.After(time.Minute):
			return l.snapshot()
		}
	}
}

// atLeast is enough lines.
func atLeast(want int) func([]string) bool {
	return func(lines []string) bool { return len(lines) >= want }
}

// allConfirmed is enough when every line is there that send, which wrote out, has
// called confirmed.
func allConfirmed(t *testing.T, out string) func([]string) bool {
	missing := make(map[string]bool)
	for n, outcome := range outcomes(t, out) {
		if outcome == "confirmed" {
			missing[fmt.Sprint(n)] = true
		}
	}
	seen := 0
	return func(lines []string) bool {
		for ; seen < len(lines); seen++ {
			delete(missing, lines[seen])
		}
		return len(missing) == 0
	}
}

// waitFor looks until ok. The limit is for what never comes.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// tree is what "gamelan tree" shows of a node.
func tree(t *testing.T, n *node) string {
	t.Helper()
	out, errs, code := run(t, nil, "tree", "--data-dir", n.dir)
	if code != 0 {
		t.Fatalf("tree: exit %d: %s", code, errs)
	}
	return out
}

// numbered is n numbered lines.
func numbered(n int) io.Reader {
	var b bytes.Buffer
	for i := 1; i <= n; i++ {
		fmt.Fprintln(&b, i)
	}
	return &b
}

// outcomes reads what send wrote: the outcome of each line, by its number.
func outcomes(t *testing.T, out string) map[int]string {
	t.Helper()
	all := make(map[int]string)
	for line := range strings.Lines(out) {
		var n int
		number, outcome, ok := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := fmt.Sscan(number, &n); err != nil || !ok {
			t.Fatalf("send wrote %q, want a number and an outcome", line)
		}
		if other, twice := all[n]; twice {
			t.Errorf("line %d: got two outcomes, %q and %q, want one", n, other, outcome)
		}
		kind, _, _ := strings.Cut(outcome, ":")
		all[n] = kind
	}
	return all
}
