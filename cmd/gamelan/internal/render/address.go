package render

import (
	"net/netip"
	"strings"
)

// address returns an address as people write it, and with -v as the node has it.
func (o *Output) address(addr string) string {
	if o.Verbose {
		return addr
	}
	return hostPort(addr)
}

// hostPort returns an address as people write it: 203.0.113.7:18189, example.org:18189 or
// abc.onion:18189. One of another kind stays as it is.
func hostPort(addr string) string {
	part := strings.Split(addr, "/") // "", "ip4", "203.0.113.7", "tcp", "18189"
	switch {
	case len(part) == 5 && part[3] == "tcp" && (part[1] == "ip4" || part[1] == "ip6"):
		if ip, err := netip.ParseAddr(part[2]); err == nil && ip.Is6() {
			return "[" + part[2] + "]:" + part[4]
		}
		return part[2] + ":" + part[4]
	case len(part) == 5 && part[3] == "tcp" && strings.HasPrefix(part[1], "dns"):
		return part[2] + ":" + part[4]
	case len(part) == 3 && part[1] == "onion3":
		if onion, port, ok := strings.Cut(part[2], ":"); ok {
			return onion + ".onion:" + port
		}
	}
	return addr
}
