// Package wirecheck checks a node against the published rules of the wire, from outside: it
// dials the node as a client that works on bytes, performs the action of a rule, and compares
// the answer.
//
// A [Check] is one such experiment and names the items of docs/conformance that it tests. Each
// check uses a new identity, because several checks get theirs banned; so checks do not
// affect each other. The package dials only the target. At most three connections are open at
// once, so that a node's limits for one source (V 8) do not interfere.
//
// The identities are clients, but for those of join.relayed, and nobody can be reached by
// their only address. It is one reserved for documentation, and in the checks of the DHT,
// where a node may drop such an address, an onion address with a random key.
package wirecheck
