package address

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// tcpPort finds the port in a malformed multiaddr.
var tcpPort = regexp.MustCompile(`/tcp/([0-9]+)(?:/|$)`)

// maxPort is the highest port of TCP.
const maxPort = 65535

// Advice returns a hint how to write a text that [Parse] refuses: for 127.0.0.1:7201
// it returns "write it as /ip4/127.0.0.1/tcp/7201". It returns "" when it cannot
// guess the address.
func Advice(s string) string {
	if m := tcpPort.FindStringSubmatch(s); m != nil {
		return portAdvice(m[1])
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 1 {
		return ""
	}
	host, port := s[:colon], s[colon+1:]
	if n, err := strconv.ParseUint(port, 10, 64); err != nil || n > maxPort {
		return portAdvice(port)
	}
	kind := "dns4"
	if at, err := netip.ParseAddrPort(s); err == nil && at.Addr().Zone() == "" {
		kind, host = "ip4", at.Addr().String()
		if at.Addr().Is6() {
			kind = "ip6"
		}
	} else if !hostName(host) {
		return ""
	}
	return fmt.Sprintf("write it as /%s/%s/tcp/%s", kind, host, port)
}

// portAdvice names the range of ports for a port outside of it.
func portAdvice(port string) string {
	n, err := strconv.ParseUint(port, 10, 64)
	if len(port) > 20 || (err != nil && len(port) < 5) || (err == nil && n <= maxPort) {
		return ""
	}
	return fmt.Sprintf("choose a port from 0 to %d", maxPort)
}
