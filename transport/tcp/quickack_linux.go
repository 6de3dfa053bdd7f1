package tcp

import (
	"net"
	"syscall"
)

// quickAck sets TCP_QUICKACK. The kernel clears the option by itself, so it is set again
// after each read that emptied the socket, before the next one.
type quickAck struct {
	raw syscall.RawConn
	set func(fd uintptr) // made once, so that now allocates nothing
}

func (q *quickAck) init(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // closed already
	}
	q.raw = raw
	q.set = func(fd uintptr) {
		// A failure only costs the peer time.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	}
}

// can reports whether now does anything.
func (q *quickAck) can() bool { return q.raw != nil }

func (q *quickAck) now() { _ = q.raw.Control(q.set) }
