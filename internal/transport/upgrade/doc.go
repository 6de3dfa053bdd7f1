// Package upgrade sets up a raw connection: the wire byte, the Noise handshake with the
// check of the peer's key, the identity exchange and yamux, in the order of the profile.
//
//	tari     wire byte → noise → identity frames → mux
//	lesson   wire byte → noise → mux → identity frames on the first substream
//
// [Outbound] and [Inbound] run the same steps on the caller's goroutine and start none;
// only yamux starts two, which belong to the returned session. Each wait has a time
// limit, an inbound set-up also has one as a whole, and the end of the context closes the
// connection at once. A failure closes the connection and returns an *[Error] with the
// stage, the peer if it is known, and the cause. If the peer broke the protocol, the error
// is a protocol.Violation too.
//
// spec: comms 3, 4.5, 7, 14.2; V 8, 9
package upgrade
