// Package tcp is the transport over TCP: it dials /ip4, /ip6, /dns, /dns4 and
// /dns6 with /tcp behind, and listens on the two IP forms.
//
// TCP_NODELAY is on. On Linux a read that leaves the socket empty also asks
// the kernel to acknowledge at once (quickack_linux.go): an older node that
// writes small pieces with Nagle's algorithm waits for the acknowledgement,
// and a delayed one would cost it 40 ms each time. [Conn.DelayAcks] ends that for a peer that
// has TCP_NODELAY on as well. Other systems have no such request.
//
// [Transport.DialPermitted] asks for permission for each IP address, after names are
// resolved and before it connects.
//
// spec: comms 2.1, 2.2
package tcp
