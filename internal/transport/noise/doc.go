// Package noise encrypts a connection. It runs the Noise handshake over ristretto255,
// in the pattern XX (profile tari), XXpsk0 (private networks) or IX (profile lesson), and then
// carries an ordinary byte stream in transport frames.
//
// On the wire every Noise message, of the handshake and after it, is a 2-byte
// big-endian length followed by that many bytes. A frame boundary means
// nothing to the layers above.
//
// [Client] and [Server] run the same code; the client writes first. The package starts
// no goroutine. An idle [Conn] holds one read buffer of 2 KiB; larger frames borrow a
// buffer from a pool.
//
// spec: comms 4, 14.2; V 43
package noise
