// Package cutproxy stands between two nodes of a test and cuts their TCP
// connections.
package cutproxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy passes TCP connections on to a target and can cut them all.
type Proxy struct {
	listener net.Listener
	mu       sync.Mutex
	target   string
	conns    map[*net.TCPConn]struct{}
	passed   int   // bytes for the target since CutAt
	cutAt    []int // when passed has these values
}

// New returns a proxy that listens on a free port until the test ends.
func New(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, conns: make(map[*net.TCPConn]struct{})}
	t.Cleanup(func() { l.Close(); p.Cut() })
	go p.accept()
	return p
}

// Multiaddr returns the address on which it listens.
func (p *Proxy) Multiaddr() string {
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", p.listener.Addr().(*net.TCPAddr).Port)
}

// To sets the target of later connections, such as "127.0.0.1:18189".
func (p *Proxy) To(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// CutAt cuts every connection each time so many bytes for the target have come from now on, on
// all connections together. The last of them are lost, so the sender always has something to
// send again.
func (p *Proxy) CutAt(bytes ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed, p.cutAt = 0, bytes
}

// CutsLeft returns how many of the cuts of CutAt are still to come.
func (p *Proxy) CutsLeft() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.cutAt)
}

// toTarget counts the bytes for the target. Write fails, and all connections are cut, when
// the bytes are to be lost.
type toTarget struct{ p *Proxy }

var errCut = errors.New("cutproxy: cut")

func (w toTarget) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.passed += len(b)
	if len(w.p.cutAt) == 0 || w.p.passed < w.p.cutAt[0] {
		return len(b), nil
	}
	w.p.cutAt = w.p.cutAt[1:]
	w.p.cut()
	return 0, errCut
}

// Cut resets every connection and returns the number of sockets. Bytes under way are lost.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut()
}

func (p *Proxy) cut() int {
	for c := range p.conns {
		c.SetLinger(0)
		c.Close()
	}
	return len(p.conns)
}

func (p *Proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		out, err := net.Dial("tcp", target)
		if err != nil {
			in.Close()
			continue
		}
		a, b := in.(*net.TCPConn), out.(*net.TCPConn)
		p.mu.Lock()
		p.conns[a], p.conns[b] = struct{}{}, struct{}{}
		p.mu.Unlock()
		go p.pass(a, b, b)
		go p.pass(b, a, io.TeeReader(a, toTarget{p}))
	}
}

// pass copies what r reads from src.
func (p *Proxy) pass(dst, src *net.TCPConn, r io.Reader) {
	io.Copy(dst, r)
	dst.Close()
	src.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, src)
	delete(p.conns, dst)
}
