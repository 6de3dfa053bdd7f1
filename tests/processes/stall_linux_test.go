package processes

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stallTime is how long the receiver's reader stands still: longer than the second from which on
// the tree shows it, and a minute with GAMELAN_LONG, as in CI.
func stallTime() time.Duration {
	if long() {
		return time.Minute
	}
	return 3 * time.Second
}

// A reader in another process that stands still stops the sender when the inbox
// is full, and nothing else: neither node grows, the tree says what is stalled and for how long, and
// when the reader goes on everything is delivered, once and in order.
//
// conforms: comms 89; V 13, 15
func TestReaderThatStandsStill(t *testing.T) {
	t.Parallel()
	const lines, size = 3000, 4096
	alice, bob := startNode(t, t.TempDir()), startNode(t, t.TempDir(), "--inbox-max-messages=500")
	reader := command(t, "listen", "--raw", "--data-dir", bob.dir)
	out, err := reader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the reader to listen", func() bool { return listens.MatchString(tree(t, bob)) })
	reading := time.Now()
	if err := reader.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	var body bytes.Buffer
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&body, "%0*d\n", size, i)
	}
	send := command(t, "send", "--quiet", "--data-dir", alice.dir, bob.seed)
	send.Stdin = &body
	var sent bytes.Buffer
	send.Stderr = &sent
	if err := send.Start(); err != nil {
		t.Fatal(err)
	}

	exited := make(chan error, 1)
	go func() { exited <- send.Wait() }()

	waitFor(t, "the stall", func() bool { return strings.Contains(tree(t, bob), "stalled") })
	begin := time.Now()
	aliceBefore, bobBefore := resident(t, alice.cmd), resident(t, bob.cmd)
	time.Sleep(stallTime() - time.Since(begin))
	aliceAfter, bobAfter := resident(t, alice.cmd), resident(t, bob.cmd)
	// 12 MiB are on their way; what may be in work is 1 MiB of credit on each
	// side and a window.
	const growth = 6 << 20
	if aliceAfter > aliceBefore+growth || bobAfter > bobBefore+growth {
		t.Errorf("resident memory while stalled: got %d → %d and %d → %d bytes, want flat", aliceBefore, aliceAfter, bobBefore, bobAfter)
	}
	shown := ""
	waitFor(t, "the receiver to answer with its stall", func() bool { shown = tree(t, bob); return strings.Contains(shown, "stalled") })
	if got := stalledFor(t, shown); got < stallTime() || got > time.Since(reading)+time.Second {
		t.Errorf("tree of the receiver: got messages stalled for %v, want at least %v:\n%s", got, stallTime(), shown)
	}
	select {
	case err := <-exited:
		t.Fatalf("send: it ended while the reader stood still, with %v: %s", err, sent.String())
	default:
	}

	if err := reader.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, lines*(size+1))
	for n := 0; n < len(got); {
		k, err := out.Read(got[n:])
		if n += k; err != nil {
			t.Fatalf("reader: %v after %d of %d bytes", err, n, len(got))
		}
	}
	for i, line := range bytes.Fields(got) {
		if n, _ := strconv.Atoi(string(line)); n != i+1 {
			t.Fatalf("line %d: got %d", i+1, n)
		}
	}
	if err := <-exited; err != nil {
		t.Errorf("send: got %v, want exit 0: %s", err, sent.String())
	}
	if want := "3,000 messages: all confirmed"; !strings.Contains(sent.String(), want) {
		t.Errorf("send: got %q, want %q", sent.String(), want)
	}
	alice.stop()
	bob.stop()
}

var stalled = regexp.MustCompile(`stalled ([0-9a-z]+)`)

// stalledFor is for how long messages are stalled, as the tree says.
func stalledFor(t *testing.T, tree string) time.Duration {
	t.Helper()
	m := stalled.FindStringSubmatch(tree)
	if m == nil {
		t.Fatalf("got no line that says for how long messages are stalled:\n%s", tree)
	}
	d, err := time.ParseDuration(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// resident is a process's memory, in bytes.
func resident(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmRSS in the status of the process")
	return 0
}
