// Package tcp is the transport over TCP: it dials /ip4, /ip6, /dns, /dns4 and
// /dns6 with /tcp behind, and listens on the two IP forms.
//
// TCP_NODELAY is on. On Linux a read that leaves the socket empty also asks
// the kernel to acknowledge at once (quickack_linux.go): an older node that
// writes small pieces with Nagle's algorithm on waits for our acknowledgement,
// and a delayed one would cost it 40 ms each time. Elsewhere there is nothing
// to ask for, and nothing else changes.
//
// [Transport.DialPermitted] asks before it connects to an IP address, once names are
// resolved.
//
// spec: comms 2.1, 2.2
package tcp
