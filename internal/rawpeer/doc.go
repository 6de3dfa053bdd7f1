// Package rawpeer is the other side of a connection of a node, by hand. A [Peer] sends any frame
// of the multiplexer in any order, and remembers what comes. A [Claim] is an identity message
// whose every field can be wrong.
//
// internal/wirecheck and the tests of tests/hostile and internal/transport/mux use it. It does not import
// internal/transport/mux: the other side must not share a mistake with the node that it judges.
//
// A peer works inside a bubble of testing/synctest.
package rawpeer
