package processes

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

// faulty is a proxy between two nodes that does to their connections what
// networks do.
type faulty struct {
	listener    net.Listener
	mute        atomic.Bool // what arrives is thrown away
	there, back sync.Mutex  // held: the way from who dials to the target stands still, or that from it
	mu          sync.Mutex
	target      string
	conns       map[net.Conn]struct{}
}

func (f *faulty) addr() net.Addr { return f.listener.Addr() }

func (f *faulty) to(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{listener: l, conns: make(map[net.Conn]struct{})}
	t.Cleanup(func() { l.Close(); f.reset() })
	go f.accept()
	return f
}

func (f *faulty) accept() {
	for {
		in, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		target := f.target
		f.mu.Unlock()
		out, err := net.Dial("tcp", target)
		if err != nil {
			in.Close()
			continue
		}
		f.mu.Lock()
		f.conns[in], f.conns[out] = struct{}{}, struct{}{}
		f.mu.Unlock()
		go f.carry(out, in, &f.there)
		go f.carry(in, out, &f.back)
	}
}

// carry passes bytes and their end on, or swallows both.
func (f *faulty) carry(dst, src net.Conn, stands *sync.Mutex) {
	defer src.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := src.Read(b)
		switch mute := f.mute.Load(); {
		case mute && err != nil:
			return
		case mute:
			continue
		}
		stands.Lock()
		_, wrong := dst.Write(b[:n])
		stands.Unlock()
		if err != nil || wrong != nil {
			dst.Close()
			return
		}
	}
}

// reset breaks every connection, in both directions.
func (f *faulty) reset() {
	f.mu.Lock()
	for c := range f.conns {
		c.(*net.TCPConn).SetLinger(0) // of all, before the first one ends
	}
	for c := range f.conns {
		c.Close()
	}
	clear(f.conns)
	f.mu.Unlock()
}

// halfClose ends what goes from b to a, and nothing else.
func (f *faulty) halfClose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		if c.LocalAddr().String() == f.addr().String() {
			c.(*net.TCPConn).CloseWrite()
		}
	}
}

// says waits until "gamelan status" says all of the parts.
func says(t *testing.T, n *node, parts ...string) {
	t.Helper()
	var out string
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		out, _, _ = run(t, nil, "status", "--data-dir", n.dir)
		missing := false
		for _, p := range parts {
			missing = missing || !strings.Contains(out, p)
		}
		if !missing {
			return
		}
	}
	t.Fatalf("got the status\n%s\nwant %q in it", out, parts)
}

// freePort returns a port of loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(ports[0])
}

// twoNodes are a and b, of which a reaches b through the proxy only.
type twoNodes struct {
	*testing.T
	f      *faulty
	a, b   *node
	key    string // of b
	target string // where b listens
}

func newTwoNodes(t *testing.T, args ...string) *twoNodes {
	t.Helper()
	f := newFaulty(t)
	through := "/ip4/127.0.0.1/tcp/" + strings.Split(f.addr().String(), ":")[1]
	port := freePort(t)
	b := startNode(t, t.TempDir(), "--connections-floor=-1", "--listen", "/ip4/127.0.0.1/tcp/"+port, "--public-address", through)
	key, _, _ := strings.Cut(b.seed, "::")
	a := startNode(t, t.TempDir(), append([]string{"--peer", key + "::" + through, "--connections-floor=-1"}, args...)...)
	return &twoNodes{t, f, a, b, key, "127.0.0.1:" + port}
}

func (n *twoNodes) dial() { run(n.T, nil, "dial", "--data-dir", n.a.dir, n.key) }

// connect has a connect while the proxy does no harm.
func (n *twoNodes) connect() {
	n.Helper()
	n.f.to(n.target)
	n.dial()
	says(n.T, n.a, "connected to 1 node")
}

// why wants all of the parts in what "gamelan why" says of b.
func (n *twoNodes) why(parts ...string) {
	n.Helper()
	out, _, _ := run(n.T, nil, "why", "--data-dir", n.a.dir, n.key)
	for _, p := range parts {
		if !strings.Contains(out, p) {
			n.Errorf("got of why\n%s\nwant %q in it", out, p)
		}
	}
}

// TestStatusTellsTheCause has a proxy between two nodes reset, half-close and refuse their
// connection: each time the status says what has happened. TestBubbleStatusTellsOfDelays of
// the package above has the way deliver late.
func TestStatusTellsTheCause(t *testing.T) {
	t.Parallel()
	n := newTwoNodes(t, "--connections-keep-alive=1s", "--mux-ping-timeout=5s")
	n.connect()
	n.f.to("127.0.0.1:1") // nobody answers behind the proxy
	n.f.reset()
	says(t, n.a, "connected to nobody", "ended by network", "reset")
	n.why("is away since ", "the network broke the connection: ", "reset")
	n.dial()
	says(t, n.a, "closed the connection before the handshake: it is busy", "tried ")
	n.why("closed the connection before the handshake: it is busy")

	n.connect()
	n.f.halfClose()
	says(t, n.a, "connected to nobody", "ended by peer")
	n.why("the peer ended the connection")
	n.f.listener.Close()
	n.dial()
	says(t, n.a, " refuses connections, tried ")
	n.why(" refuses connections.")
}

// TestStatusTellsOfSilence has the proxy deliver in one direction only, or swallow everything: that
// ends the connection and the set-up of the next with that as the cause.
func TestStatusTellsOfSilence(t *testing.T) {
	t.Parallel()
	stand := func(way *sync.Mutex) (end func()) {
		way.Lock()
		return way.Unlock
	}
	for _, test := range []struct {
		name   string
		harm   func(f *faulty) (end func())
		noPong string
		cause  string
	}{
		// b is silent, or hung up without having heard us, whoever is first
		{"there", func(f *faulty) func() { return stand(&f.there) }, "", " the connection"},
		{"back", func(f *faulty) func() { return stand(&f.back) }, "", "says nothing in time"},
		{"swallowed", func(f *faulty) func() { f.mute.Store(true); return func() {} }, ", and nothing else came", "says nothing in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newTwoNodes(t, "--connections-keep-alive=1s", "--mux-ping-timeout=5s")
			n.connect()
			defer test.harm(n.f)()
			noPong := "no answer by network: no answer to a ping within 5s" + test.noPong
			says(t, n.a, "connected to nobody", noPong)
			n.why("no answer to a ping within 5s" + test.noPong)
			n.dial()
			says(t, n.a, test.cause, "tried ")
			n.why(test.cause)
		})
	}
}

// TestStatusTellsOfAStall has the way to b stand still while a sends: a says that
// its ping was not answered although b goes on sending.
func TestStatusTellsOfAStall(t *testing.T) {
	t.Parallel()
	n := newTwoNodes(t, "--mux-ping-timeout=5s")
	n.connect()
	aKey, _, _ := strings.Cut(n.a.seed, "::")
	back := command(t, "send", "--data-dir", n.b.dir, aKey)
	lines, err := back.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(100 * time.Millisecond):
				lines.Write([]byte("from b\n"))
			}
		}
	}()
	n.f.there.Lock()
	defer n.f.there.Unlock()
	send := command(t, "send", "--data-dir", n.a.dir, n.key)
	send.Stdin = strings.NewReader("from a\n")
	if err := send.Start(); err != nil {
		t.Fatal(err)
	}
	// b may dial a for what it has to send, so the status may tell of that by now.
	waitFor(t, "the end of the connection with its cause", func() bool {
		out, _, _ := run(t, nil, "conns", "--closed", "--data-dir", n.a.dir)
		return strings.Contains(out, "no answer to a ping within 5s, though") && strings.Contains(out, "came meanwhile")
	})
}
