// Package torpart is the part of a node that keeps its onion service published by a Tor that
// runs as a program of its own. The machine [tor.Controller] decides; the actor carries
// out, over one control connection at a time.
//
//	node/tor          Isolate, retry 30 s
//	└── controller    the control connection and the onion service
//
// A restart of the actor loses the connection, with which Tor takes the service away, and
// publishes the same service again: its key belongs to [Tor], which outlives the actor.
//
// spec: comms 13
package torpart
