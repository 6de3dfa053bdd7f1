// Package ristretto is the project's only door to the ristretto255 group
// (RFC 9496): scalars, points, the Diffie-Hellman product and the Schnorr
// equation. Everything above works on 32-byte encodings.
//
// Arithmetic comes from curve25519-voi. Whatever touches a secret runs in
// constant time; only [Verify], whose inputs are public, runs in variable
// time. The tests compare every operation bit for bit with a second,
// independent library.
package ristretto
