// Package liveness is the echo that a node offers on a raw socket, before any
// handshake, for those who only want to know whether it can be reached: after
// the first byte 0xA7 it sends every line back. A node also asks itself that way,
// through its own public address.
//
// It is wire code: it blocks on its caller's goroutine and starts none.
//
// spec: comms 3.3; V 2
package liveness
