package processes

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faulty is a proxy between two nodes that does to their connections what
// networks do.
type faulty struct {
	listener net.Listener
	mute     atomic.Bool // what arrives is thrown away

	mu     sync.Mutex
	target string
	conns  map[net.Conn]struct{}
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
		go f.carry(in, out)
		go f.carry(out, in)
	}
}

// carry passes bytes and their end on, or swallows both.
func (f *faulty) carry(dst, src net.Conn) {
	defer func() {
		src.Close()
		if !f.mute.Load() {
			dst.Close()
		}
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := src.Read(b)
		if err != nil {
			return
		}
		if f.mute.Load() {
			continue
		}
		if _, err := dst.Write(b[:n]); err != nil {
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
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strings.Split(l.Addr().String(), ":")[1]
}

// TestStatusTellsTheCause has a proxy between two nodes reset, swallow, half-close
// and refuse their connection: each time the status says what has happened.
func TestStatusTellsTheCause(t *testing.T) {
	f := newFaulty(t)
	through := "/ip4/127.0.0.1/tcp/" + strings.Split(f.addr().String(), ":")[1]
	port := freePort(t)
	target := "127.0.0.1:" + port
	b := startNode(t, t.TempDir(), "--connections-floor=-1", "--listen", "/ip4/127.0.0.1/tcp/"+port, "--public-address", through)
	key, _, _ := strings.Cut(b.seed, "::")
	a := startNode(t, t.TempDir(), "--peer", key+"::"+through,
		"--connections-floor=-1", "--connections-keep-alive=1s", "--mux-ping-timeout=5s")
	dial := func() { run(t, nil, "dial", "--data-dir", a.dir, key) }
	connect := func() {
		t.Helper()
		f.mute.Store(false)
		f.to(target)
		dial()
		says(t, a, "connected to 1 node")
	}
	connect()
	f.to("127.0.0.1:1") // nobody answers behind the proxy
	f.reset()
	says(t, a, "connected to nobody", "ended by network", "reset")
	dial()
	says(t, a, "the last dial failed", "busy or refuses us")

	connect()
	f.mute.Store(true)
	says(t, a, "connected to nobody", "no pong by network")
	dial()
	says(t, a, "the last dial failed", "peer is silent")

	connect()
	f.halfClose()
	says(t, a, "connected to nobody", "ended by peer")
	f.listener.Close()
	dial()
	says(t, a, "the last dial failed", "connection refused")
}
