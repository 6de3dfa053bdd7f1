// Package keepalive decides when to ping a connection: to keep an idle one alive, to
// detect a dead one, and to prove that the peer's multiplexer has read everything that
// was written (spec: comms 5.8, 14.1 item 12).
//
// It is a pure state machine with at most one ping in flight. A pong proves every mark
// that was made before its ping was sent, and no later one. A ping without an answer in
// time ends the connection, so the machine has no event for it.
package keepalive
