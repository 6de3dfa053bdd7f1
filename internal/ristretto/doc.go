// Package ristretto provides the operations on the ristretto255 group (RFC 9496)
// that Gamelan needs: scalars, points, the Diffie-Hellman product and the Schnorr
// equation. No other package does arithmetic on the group; they use 32-byte
// encodings.
//
// Arithmetic comes from curve25519-voi. Every operation on a secret runs in
// constant time; only verification, whose inputs are public, runs in variable
// time. The tests compare every operation bit for bit with a second,
// independent library.
package ristretto
