package mux

import "net"

// Conn is a connection below a session, such as
// [github.com/gamelan-p2p/gamelan/internal/transport/noise.Conn]. One reads while another writes.
type Conn interface {
	net.Conn
	// Fill waits until Buffered is above 0. One that ends at a read deadline loses nothing and
	// may be repeated. spec: comms 5.5
	Fill() error
	// Buffered returns how many bytes the next Read returns without waiting.
	Buffered() int
	// Pending reports whether there are bytes that no Read has returned, or that are not deciphered.
	Pending() bool
	// WriteParts writes head and body, together at most 12 bytes more than [MaxPiece], as one.
	WriteParts(head, body []byte) error
}
