package tcp

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gamelan-p2p/gamelan/transport"
)

// icmp keeps the sockets of a dial, to read the ICMP messages that have refused it: the error of the system tells neither who refuses nor
// why.
type icmp struct {
	mu    sync.Mutex
	fds   []int // copies
	ended bool
}

// watch returns a control that has the system keep ICMP messages about each socket of the dial, after before.
func (m *icmp) watch(before control) control {
	return func(ctx context.Context, network, address string, c syscall.RawConn) error {
		if before != nil {
			if err := before(ctx, network, address, c); err != nil {
				return err
			}
		}
		return c.Control(func(fd uintptr) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.ended { // another address of the name has answered
				return
			}
			if copied, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
				m.keep(copied, 1)
				m.fds = append(m.fds, copied)
			}
		})
	}
}

// keep says whether the system keeps ICMP messages. A connection that does so breaks by any of them.
func (m *icmp) keep(fd, on int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, on)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, on)
}

// end forgets the sockets. It returns the last message about one of them, or nil.
func (m *icmp) end() (r *transport.Refusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, fd := range m.fds {
		if said := m.read(fd); said != nil {
			r = said
		}
		m.keep(fd, 0) // drops what is kept
		unix.Close(fd)
	}
	m.fds, m.ended = nil, true
	if r != nil && !r.Prohibited && own(r.By) { // the system's own words say more
		return nil
	}
	return r
}

// own reports whether an address is one of this machine.
func own(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(all, func(n net.Addr) bool {
		p, ok := n.(*net.IPNet)
		return ok && p.IP.Equal(a.AsSlice())
	})
}

// read reads the messages about a socket.
func (m *icmp) read(fd int) (r *transport.Refusal) {
	for {
		var control [512]byte
		_, n, _, _, err := unix.Recvmsg(fd, nil, control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return r
		}
		all, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil {
			return r
		}
		for _, c := range all {
			if c.Header.Level == unix.IPPROTO_IP && c.Header.Type == unix.IP_RECVERR || c.Header.Level == unix.IPPROTO_IPV6 && c.Header.Type == unix.IPV6_RECVERR {
				if said := refusal(c.Data); said != nil {
					r = said
				}
			}
		}
	}
}

// refusal decodes a message: the error, and who has sent it.
func refusal(b []byte) *transport.Refusal {
	const head = 16 // struct sock_extended_err: errno, origin, type, code, …
	if len(b) < head {
		return nil
	}
	origin, kind, code, from := b[4], b[5], b[6], b[head:]
	r := new(transport.Refusal)
	switch {
	case origin == unix.SO_EE_ORIGIN_ICMP && kind == icmpUnreachable && len(from) >= unix.SizeofSockaddrInet4:
		r.By = netip.AddrFrom4([4]byte(from[4:8]))
		r.Prohibited = code == icmpPort || code == icmpNetProhibited || code == icmpHostProhibited || code == icmpProhibited
	case origin == unix.SO_EE_ORIGIN_ICMP6 && kind == icmp6Unreachable && len(from) >= unix.SizeofSockaddrInet6:
		r.By = netip.AddrFrom16([16]byte(from[8:24])).Unmap()
		r.Prohibited = code == icmp6Prohibited || code == icmp6Port || code == icmp6Policy || code == icmp6Reject
	default:
		return nil
	}
	if !r.By.IsValid() || r.By.IsUnspecified() {
		return nil
	}
	return r
}

// Types and codes of ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443).
const (
	icmpUnreachable    = 3
	icmpPort           = 3
	icmpNetProhibited  = 9
	icmpHostProhibited = 10
	icmpProhibited     = 13

	icmp6Unreachable = 1
	icmp6Prohibited  = 1
	icmp6Port        = 4
	icmp6Policy      = 5
	icmp6Reject      = 6
)
