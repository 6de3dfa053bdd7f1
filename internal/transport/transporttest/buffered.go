package transporttest

import (
	"bufio"
	"io"
	"net"
)

// Buffered is a connection without encryption below a session of package mux: it makes a
// [github.com/gamelan-p2p/gamelan/internal/transport/mux.Conn] of any connection.
type Buffered struct {
	net.Conn
	r *bufio.Reader
}

// NewBuffered reads from c through a buffer of that size, at least 16 bytes. With a small one,
// frames come in parts.
func NewBuffered(c net.Conn, size int) *Buffered { return &Buffered{c, bufio.NewReaderSize(c, size)} }

// Read reads through the buffer.
func (b *Buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// Buffered returns how many bytes are in the buffer.
func (b *Buffered) Buffered() int { return b.r.Buffered() }

// Pending reports whether Buffered is above 0.
func (b *Buffered) Pending() bool { return b.r.Buffered() > 0 }

// Fill waits for bytes in the buffer.
func (b *Buffered) Fill() error {
	_, err := b.r.Peek(1)
	return err
}

// WriteParts makes one write of both.
func (b *Buffered) WriteParts(head, body []byte) error {
	parts := append(append(make([]byte, 0, len(head)+len(body)), head...), body...)
	n, err := b.Write(parts)
	if err == nil && n < len(parts) {
		err = io.ErrShortWrite
	}
	return err
}
