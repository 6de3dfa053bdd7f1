package processes

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/internal/cutproxy"
	"github.com/gamelan-p2p/gamelan/tests/internal/signals"
)

// messages is how many numbered lines cross between two processes, and cuts how often their
// connection is cut: 8,000 and 3, and 100,000 and 10 with GAMELAN_LONG, as in CI. After each
// cut the sender waits longer before it uses the next connection, up to 5 s.
var messages, cuts = 8_000, 3

func init() {
	if long() {
		messages, cuts = 100_000, 10
	}
}

// All lines are confirmed, and received once and in order.
//
// conforms: comms 85
func TestLinesBetweenTwoProcesses(t *testing.T) {
	t.Parallel()
	alice, bob := startNode(t, t.TempDir()), startNode(t, t.TempDir())
	heard := listen(t, bob)
	out, errs, code := run(t, numbered(messages), "send", "--data-dir", alice.dir, bob.seed)
	if code != 0 {
		t.Fatalf("send: got exit %d, want 0: %s", code, errs)
	}
	checkAllConfirmed(t, out)
	checkAllOnceInOrder(t, heard.settle(atLeast(messages)))
	alice.stop()
	bob.stop()
}

// The same while the receiving process is stopped for a while and continued.
func TestLinesWhileTheReceiverIsStopped(t *testing.T) {
	t.Parallel()
	alice, bob := startNode(t, t.TempDir()), startNode(t, t.TempDir())
	heard := listen(t, bob)
	go func() {
		for range 5 {
			time.Sleep(50 * time.Millisecond)
			bob.cmd.Process.Signal(signals.Stop)
			time.Sleep(300 * time.Millisecond)
			bob.cmd.Process.Signal(signals.Resume)
		}
	}()
	out, errs, code := run(t, numbered(messages), "send", "--data-dir", alice.dir, bob.seed)
	if code != 0 {
		t.Fatalf("send: got exit %d, want 0: %s", code, errs)
	}
	checkAllConfirmed(t, out)
	checkAllOnceInOrder(t, heard.settle(atLeast(messages)))
	alice.stop()
	bob.stop()
}

// The connection is cut again and again: every line has one outcome, what was
// confirmed was received, what failed was not, and the order is kept.
//
// conforms: comms 85
func TestLinesOverAConnectionThatIsCut(t *testing.T) {
	t.Parallel()
	out, lines, _ := sendCut(t)
	got := outcomes(t, out)
	if len(got) != messages {
		t.Errorf("outcomes: got %d, want %d", len(got), messages)
	}
	received := make(map[int]int)
	last := 0
	for _, line := range lines {
		n := number(t, line)
		received[n]++
		if n <= last {
			t.Fatalf("order: got %d after %d", n, last)
		}
		last = n
	}
	inDoubt := 0
	for n, outcome := range got {
		switch {
		case outcome == "confirmed" && received[n] != 1:
			t.Fatalf("line %d: confirmed but received %d times", n, received[n])
		case outcome == "failed" && received[n] != 0:
			t.Fatalf("line %d: failed but received", n)
		case outcome == "in doubt":
			inDoubt++
		}
	}
	t.Logf("%d received, %d in doubt", len(lines), inDoubt)
}

// With --resend every line arrives, at least once.
func TestLinesResentOverAConnectionThatIsCut(t *testing.T) {
	t.Parallel()
	out, lines, code := sendCut(t, "--resend")
	if code != 0 {
		t.Errorf("send: got exit %d, want 0", code)
	}
	checkAllConfirmed(t, out)
	received := make(map[int]bool)
	for _, line := range lines {
		received[number(t, line)] = true
	}
	for n := 1; n <= messages; n++ {
		if !received[n] {
			t.Fatalf("line %d: confirmed but not received", n)
		}
	}
	t.Logf("%d received, %d of them twice", len(lines), len(lines)-messages)
}

// sendCut sends all lines through a proxy that cuts the connection while they are under
// way.
func sendCut(t *testing.T, args ...string) (out string, lines []string, code int) {
	t.Helper()
	p := cutproxy.New(t)
	// Or bob dials alice, past the proxy: to have enough connections, or her as a neighbour again
	// after a cut. Nobody listens at the address that she tells.
	const alone = "--connections-floor=-1"
	alice := startNode(t, t.TempDir(), alone, "--public-address", "/ip4/127.0.0.1/tcp/1")
	bob := startNode(t, t.TempDir(), alone, "--public-address", p.Multiaddr())
	p.To(listenAddress(t, bob))
	heard := listen(t, bob)

	cutter := &cutter{proxy: p, heard: heard, every: messages / (cuts + 1), next: make(chan struct{}, cuts)}
	go cutter.run(cuts)
	in := &parts{r: bufio.NewReader(numbered(messages)), every: cutter.every, next: cutter.next, cuts: cuts}
	out, errs, code := run(t, in, append(append([]string{"send"}, args...), "--data-dir", alice.dir, bob.seed)...)
	if n := int(cutter.done.Load()); n != cuts {
		t.Errorf("cuts: got %d, want %d; send wrote: %s", n, cuts, errs)
	}
	lines = heard.settle(allConfirmed(t, out)) // what was resent counts twice, what is in doubt perhaps never
	alice.stop()
	bob.stop()
	return out, lines, code
}

// listenAddress is where a node really listens, as its tree shows.
func listenAddress(t *testing.T, n *node) (addr string) {
	t.Helper()
	waitFor(t, "the listener to say where it listens", func() bool {
		out, errs, code := run(t, nil, "tree", "--data-dir", n.dir)
		if code != 0 {
			t.Fatalf("tree: exit %d: %s", code, errs)
		}
		for line := range strings.Lines(out) {
			if _, rest, ok := strings.Cut(line, "/ip4/127.0.0.1/tcp/"); ok && strings.Contains(line, "accepted") {
				port, _, _ := strings.Cut(rest, ",")
				addr = net.JoinHostPort("127.0.0.1", port)
			}
		}
		return addr != ""
	})
	return addr
}

// parts hands out the lines in parts: the next one when the connection was cut
// in the middle of the last one.
type parts struct {
	r     *bufio.Reader
	every int
	next  <-chan struct{}
	cuts  int
	lines int
}

func (p *parts) Read(b []byte) (int, error) {
	if p.cuts > 0 && p.lines == p.every {
		<-p.next
		p.cuts--
		p.lines = 0
	}
	line, err := p.r.ReadString('\n')
	p.lines++
	return copy(b, line), err
}

// cutter cuts the connection in the middle of each part, when lines of the part
// arrive: they were handed out after the last cut, so the connection that carries
// them was set up since. A cut in the set-up would be a failed dial, and two of
// those in a row end everything queued (comms 86).
type cutter struct {
	proxy *cutproxy.Proxy
	heard *listening
	every int
	next  chan struct{}
	done  atomic.Int64
	seen  int // of heard.lines
}

func (c *cutter) run(times int) {
	for i := range times {
		if c.arrives(i*c.every+c.every/4) && c.proxy.Cut() > 0 {
			c.done.Add(1)
		}
		c.next <- struct{}{}
	}
}

// arrives waits for a line beyond n, unless nothing comes for a minute.
func (c *cutter) arrives(n int) bool {
	for {
		c.heard.mu.Lock()
		fresh := c.heard.lines[c.seen:]
		c.heard.mu.Unlock()
		c.seen += len(fresh)
		for _, line := range fresh {
			if k, _ := strconv.Atoi(line); k > n {
				return true
			}
		}
		select {
		case <-c.heard.more:
		case <-time.After(time.Minute):
			return false
		}
	}
}

func checkAllConfirmed(t *testing.T, out string) {
	t.Helper()
	if got := outcomes(t, out); len(got) != messages {
		t.Errorf("outcomes: got %d, want %d", len(got), messages)
	}
	for line := range strings.Lines(out) {
		if n, outcome, _ := strings.Cut(strings.TrimSpace(line), " "); outcome != "confirmed" {
			t.Fatalf("line %s: got %q, want confirmed", n, outcome)
		}
	}
}

func checkAllOnceInOrder(t *testing.T, lines []string) {
	t.Helper()
	if len(lines) != messages {
		t.Errorf("received: got %d lines, want %d", len(lines), messages)
	}
	for i, line := range lines {
		if want := strconv.Itoa(i + 1); line != want {
			t.Fatalf("received line %d: got %q, want %q", i+1, line, want)
		}
	}
}

func number(t *testing.T, line string) int {
	t.Helper()
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("received %q, want a number", line)
	}
	return n
}
