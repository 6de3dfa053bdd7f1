// Package rawpeer is the other side of a connection of a node, by hand: a [Peer] sends any frame
// of the multiplexer in any order, and remembers what comes. A [Claim] is an identity message
// whose every field can be wrong.
//
// internal/wirecheck and the tests of tests/hostile and transport/mux use it. It does not use
// transport/mux, because it judges nodes that do: a mistake there must not hide itself.
//
// A peer works inside a bubble of testing/synctest.
package rawpeer
