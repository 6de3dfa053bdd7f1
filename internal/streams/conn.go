// Package streams gives the streams of a protocol to functions and to net.Listeners, and makes a
// net.Conn of a stream.
//
// Server is the actor behind WithStreams, Listener the one behind a net.Listener. Both bound what
// peers can have at once, by source.
package streams

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Network is what errors and addresses name.
const Network = "gamelan"

// Conn is a stream as a net.Conn: any number of goroutines may read and write, and Close ends it in
// order. A Read or Write that waits holds up those of its own direction only. Every error but io.EOF
// is a *[net.OpError].
type Conn struct {
	stream        protocol.Stream
	local, remote net.Addr
	in, out       sync.Mutex // held by who reads, and by who writes
	closed        atomic.Bool
}

var _ net.Conn = (*Conn)(nil)

// NewConn makes a Conn of a stream. The stream is the Conn's from then on.
func NewConn(s protocol.Stream, local, remote net.Addr) *Conn {
	return &Conn{stream: s, local: local, remote: remote}
}

// LocalAddr returns the address of this node.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Read reads what has arrived, also after its deadline; a Read that would wait returns
// [os.ErrDeadlineExceeded] then.
func (c *Conn) Read(p []byte) (int, error) {
	c.in.Lock()
	defer c.in.Unlock()
	n, err := c.stream.Read(p)
	return n, c.failed("read", err)
}

// Write returns when the connection has taken p. It waits while the peer's program does not read, and
// fails when that has taken nothing for MuxConfig.StallTimeout.
func (c *Conn) Write(p []byte) (int, error) {
	c.out.Lock()
	defer c.out.Unlock()
	n, err := c.stream.Write(p)
	return n, c.failed("write", err)
}

// CloseWrite ends this side's half, behind a Write that goes on: the peer reads io.EOF. It has
// MuxConfig.CloseTimeout to end its own half.
func (c *Conn) CloseWrite() error {
	c.out.Lock()
	defer c.out.Unlock()
	return c.failed("close", c.stream.CloseWrite())
}

// Close closes the stream and does not wait. Reads and Writes that wait return [net.ErrClosed]. What
// was written arrives, unless a Write or CloseWrite goes on: then the stream is reset.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.failed("close", net.ErrClosed)
	}
	if !c.out.TryLock() {
		return reset(c.stream)
	}
	defer c.out.Unlock()
	return Finish(c.stream)
}

// SetDeadline bounds present and future reads and writes; the zero time removes the bound.
func (c *Conn) SetDeadline(t time.Time) error { return c.set(c.stream.SetDeadline, t) }

func (c *Conn) set(set func(time.Time) error, t time.Time) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	return c.failed("set", set(t))
}

// SetReadDeadline bounds present and future reads.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.set(c.stream.SetReadDeadline, t)
}

// SetWriteDeadline bounds present and future writes. One that has begun to write a piece to the
// connection ends with the connection's own limit at the latest.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.set(c.stream.SetWriteDeadline, t)
}

// failed returns err as net's own connections would.
func (c *Conn) failed(op string, err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = os.ErrDeadlineExceeded // its text says no more
	case c.closed.Load():
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: Network, Source: c.local, Addr: c.remote, Err: err}
}

// reset resets a stream, whatever its halves are.
func reset(s protocol.Stream) error {
	if r, ok := s.(interface{ Reset() error }); ok {
		return r.Reset()
	}
	return s.Close()
}

// Finish closes a stream without waiting; what was written arrives. Nobody may write meanwhile.
func Finish(s protocol.Stream) error {
	if f, ok := s.(interface{ Finish() error }); ok {
		return f.Finish()
	}
	if err := s.CloseWrite(); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Close()
}
