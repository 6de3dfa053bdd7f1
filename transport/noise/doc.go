// Package noise encrypts a connection: the Noise handshake over ristretto255,
// in the pattern XX (profile tari) or IX (profile lesson), and afterwards the
// transport frames, as an ordinary byte stream.
//
// On the wire every Noise message, of the handshake and after it, is a 2-byte
// big-endian length followed by that many bytes. A frame boundary means
// nothing to the layers above.
//
// [Client] and [Server] run the same code; they differ in who writes first.
// Nothing here starts a goroutine. An idle [Conn] holds one read buffer of
// 4 KiB; larger frames borrow a buffer from a pool while they are in work.
//
// spec: comms 4, 14.2
package noise
