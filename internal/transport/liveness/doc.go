// Package liveness implements the echo that a node offers on a raw socket, before any
// handshake, to test whether the node can be reached: after the first byte 0xA7 the node
// sends every line back. A node also tests itself in this way, through its own public
// address.
//
// The package blocks on its caller's goroutine and starts none.
//
// spec: comms 3.3; V 2
package liveness
