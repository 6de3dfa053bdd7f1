package tcp

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gamelan-p2p/gamelan/transport"
)

// retransmitWithin is the longest time between two attempts to send the same bytes again.
// Without it the attempts after 9 s and after 19 s may follow each other, and a way that is
// whole again after 10 s looks dead for nine more.
const retransmitWithin = 3 * time.Second

// tcpRTOMaxMS is the option of the socket for it, which Linux has since 6.15.
const tcpRTOMaxMS = 44

// Flight returns what the kernel knows of the connection.
func (c *Conn) Flight() (f transport.Flight, ok bool) {
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return f, false
	}
	err = raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err != nil {
			return
		}
		ok = true
		f.Unacknowledged, f.Unsent = info.Unacked > 0, info.Notsent_bytes > 0
		f.Acknowledged = time.Duration(info.Last_ack_recv) * time.Millisecond
		f.Received = time.Duration(info.Last_data_recv) * time.Millisecond
		f.Sent = time.Duration(info.Last_data_sent) * time.Millisecond
	})
	return f, ok && err == nil
}

func retransmitSoon(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // closed already
	}
	_ = raw.Control(func(fd uintptr) {
		// An earlier kernel refuses it: then a dead way is noticed later.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRTOMaxMS, int(retransmitWithin.Milliseconds()))
	})
}
