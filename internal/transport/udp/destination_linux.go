package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// controlSize has room for the destination of a datagram, as the system tells it.
const controlSize = 64

// wantDestinations has the system tell to which address each datagram was sent (ip(7),
// ipv6(7): IP_PKTINFO).
func wantDestinations(c *net.UDPConn, isIPv4 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	level, option := syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO
	if isIPv4 {
		level, option = syscall.IPPROTO_IP, syscall.IP_PKTINFO
	}
	failed := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), level, option, 1) })
	if failed != nil {
		return failed
	}
	return err
}

// destination returns the address of this machine that a datagram was sent to.
func destination(control []byte) (netip.Addr, bool) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_PKTINFO && len(m.Data) >= 12:
			// Index of the interface, this machine's address, destination in the header,
			// which may be that of a broadcast.
			return netip.AddrFrom4([4]byte(m.Data[4:8])), true
		case m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO && len(m.Data) >= 16:
			ip := netip.AddrFrom16([16]byte(m.Data[:16]))
			return ip, !ip.IsMulticast() && !ip.IsLinkLocalUnicast() // the latter would need an interface as well
		}
	}
	return netip.Addr{}, false
}

// sendFrom returns what goes with a datagram that has to leave from an address.
func sendFrom(from netip.Addr) []byte {
	data := make([]byte, 12)
	level, option := syscall.IPPROTO_IP, syscall.IP_PKTINFO
	if from.Is4() {
		copy(data[4:], from.AsSlice())
	} else {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_PKTINFO
		data = append(from.AsSlice(), 0, 0, 0, 0)
	}
	b := make([]byte, syscall.CmsgSpace(len(data)))
	const word = strconv.IntSize / 8 // bytes of the length in the header
	if word == 8 {
		binary.NativeEndian.PutUint64(b, uint64(syscall.CmsgLen(len(data))))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(syscall.CmsgLen(len(data))))
	}
	binary.NativeEndian.PutUint32(b[word:], uint32(level))
	binary.NativeEndian.PutUint32(b[word+4:], uint32(option))
	copy(b[syscall.CmsgLen(0):], data)
	return b
}
