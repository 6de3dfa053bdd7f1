package memory

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Conn is one end of a connection.
type Conn struct {
	wire          *wire
	in, out       *pipe
	local, remote Addr
	closed        atomic.Bool
}

var _ transport.Conn = (*Conn)(nil)

// Read reads bytes that have arrived, at most len(b). When all of them have been read,
// it returns io.EOF after the other end's Close or CloseWrite, and after a reset an
// error for which [transport.IsReset] is true.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.opError("read", err)
}

// Write writes b to the link and waits while its buffer is full.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.opError("write", err)
}

// Close ends both directions. The other end still receives all bytes written, and then
// io.EOF. If bytes had arrived here that were not read, it receives a reset instead, as
// from a socket.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.opError("close", net.ErrClosed)
	}
	unread := c.in.closeRead()
	c.out.closeWrite(true, unread)
	c.wire.endClosed()
	return nil
}

// CloseWrite ends this side's half: the other end reads io.EOF after all bytes written.
func (c *Conn) CloseWrite() error {
	if c.closed.Load() {
		return c.opError("close", net.ErrClosed)
	}
	c.out.closeWrite(false, false)
	return nil
}

// Cut resets the connection in both directions, like [Network.Cut].
func (c *Conn) Cut() { c.wire.cut() }

// LocalAddr returns the [Addr] of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the [Addr] of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalMultiaddr returns the listening port, or /memory/0 at the dialling end.
func (c *Conn) LocalMultiaddr() ma.Multiaddr { return multiaddr(uint16(c.local)) }

// RemoteMultiaddr returns the dialled port, or /memory/0 at the listening end.
func (c *Conn) RemoteMultiaddr() ma.Multiaddr { return multiaddr(uint16(c.remote)) }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline ends present and future reads that still wait at t. The zero time is
// no deadline.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.opError("set", net.ErrClosed)
	}
	c.in.setDeadline(&c.in.readDeadline, t)
	return nil
}

// SetWriteDeadline ends present and future writes that still wait at t. The zero time is
// no deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.opError("set", net.ErrClosed)
	}
	c.out.setDeadline(&c.out.writeDeadline, t)
	return nil
}

// opError wraps an error in a *net.OpError, as package net does.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}
