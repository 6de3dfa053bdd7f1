// Package keepalive decides when to ping a connection: to keep an idle one alive, to
// detect a dead one, and to prove that the peer's multiplexer has read everything that
// was written (spec: comms 5.8, 14.1 item 12).
//
// It is a pure state machine. A pong proves every mark that was made before its ping was
// sent, and no later one. So that a mark need not wait for the pong of an earlier ping, a few
// pings may be in flight, spaced by a part of the round trip. A ping without an answer in time
// ends the connection, so the machine has no event for it.
package keepalive
