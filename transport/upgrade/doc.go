// Package upgrade makes a raw connection into a usable one: the wire byte, the
// Noise handshake with the check of the peer's key, the identity exchange and
// yamux, in the order that the profile says.
//
//	tari     wire byte → noise → identity frames → mux
//	lesson   wire byte → noise → mux → identity frames on the first substream
//
// [Outbound] and [Inbound] run the same steps on the caller's goroutine and
// start none of their own; only yamux has two, which belong to the session that
// is returned. Each wait has a limit, an inbound set-up also has one as a
// whole, and the end of the context closes the connection at once. What fails
// is an *[Error] that names the stage, the peer if it is known, and the cause;
// the connection is closed then. If the peer broke the rules the error is a
// protocol.Violation too.
//
// spec: comms 3, 4.5, 7, 14.2; V 8, 9
package upgrade
