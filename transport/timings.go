package transport

import "time"

// Timings are the durations of the steps that set up a connection, waiting included. A step that
// was not taken has 0.
type Timings struct {
	Dial     time.Duration // the name, the proxy and TCP or what is instead; 0 for an inbound connection
	Wire     time.Duration // the first byte, which names the network
	Noise    time.Duration // the handshake that proves the keys
	Identity time.Duration // the exchange of identity messages
	Mux      time.Duration // the start of the multiplexer
}

// Total returns the sum of the steps behind Dial.
func (t Timings) Total() time.Duration { return t.Wire + t.Noise + t.Identity + t.Mux }
