// Package identity says who a node is: its key pair ([Secret], [PublicKey]),
// the [NodeID] derived from the key, what the node offers ([Features]) and
// the signed [Claim] by which it tells others where it can be reached.
//
// Keys are elements of ristretto255 (RFC 9496) and travel as 32 bytes; in
// text they are 64 hexadecimal digits. A [PublicKey] that came out of one of
// the parsers of this package is canonical and never the identity element.
//
// The package is pure: it starts no goroutine, reads no clock and takes its
// randomness from the caller.
package identity
