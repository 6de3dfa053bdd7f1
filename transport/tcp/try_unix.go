//go:build unix

package tcp

import (
	"errors"
	"net"
	"syscall"
)

// tryWriter writes to a socket without waiting. Its fields are the arguments and results of
// write, so that a call allocates nothing.
type tryWriter struct {
	raw   syscall.RawConn
	write func(fd uintptr) (done bool) // made once
	b     []byte
	n     int
	err   error
}

func (t *tryWriter) init(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // closed already
	}
	t.raw = raw
	t.write = func(fd uintptr) bool {
		for {
			t.n, t.err = syscall.Write(int(fd), t.b)
			if !errors.Is(t.err, syscall.EINTR) {
				return true
			}
		}
	}
}

func (t *tryWriter) can() bool { return t.raw != nil }

// try makes one write, which takes as much as the socket has room for.
func (t *tryWriter) try(b []byte) (n int, err error) {
	t.b = b
	err = t.raw.Write(t.write)
	t.b = nil
	switch {
	case err != nil: // closed, or the deadline has passed
		return 0, err
	case errors.Is(t.err, syscall.EAGAIN):
		return 0, nil
	}
	return max(t.n, 0), t.err
}
