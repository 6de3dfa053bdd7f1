// Package keepalive decides when a connection is pinged: to keep an idle one
// alive and to notice a dead one, and to prove that the peer's multiplexer has
// read what was written (spec: comms 5.8, 14.1 item 12).
//
// It is a pure state machine with at most one ping in flight. A pong proves
// every mark that was made before its ping left, and nothing later. A ping that
// is not answered in time is the end of the connection, so there is no event
// for it.
package keepalive
