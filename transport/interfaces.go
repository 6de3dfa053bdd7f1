package transport

import (
	"net"
	"net/netip"
)

// Interface is an IP address of this machine.
type Interface struct {
	Addr    netip.Addr
	Running bool // its link is up: something is plugged in there
}

// Interfaces returns the IP addresses of the interfaces that are up, in the system's order.
// Interfaces that vanish meanwhile are left out.
func Interfaces() (list []Interface, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			ipnet, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if ip, ok := netip.AddrFromSlice(ipnet.IP); ok {
				list = append(list, Interface{ip.Unmap(), i.Flags&net.FlagRunning != 0})
			}
		}
	}
	return list, nil
}
