package transport

import "github.com/gamelan-p2p/gamelan/internal/transport/keepalive"

// FlightReporter is a [Conn] that knows its [keepalive.Flight].
type FlightReporter interface {
	// Flight returns the present state; ok is false where the system does not tell it,
	// and after Close.
	Flight() (f keepalive.Flight, ok bool)
}
