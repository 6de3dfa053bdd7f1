// Package wirecheck checks a node against the published rules of the wire, from
// outside: it dials the node as a client that works on bytes, does what the
// rule speaks of, and compares what comes back.
//
// A [Check] is one such experiment and names the items of docs/conformance that
// it tests. Each has an identity of its own, made for it, because several of
// them must get it banned; what one does is of no consequence to the next. Only
// the target is ever dialled. At most three connections are open at once, so
// that a node's limits for one source (V 8) do not interfere.
//
// The identities are clients, not nodes, and their only address is one that is
// reserved for documentation: what the target remembers of them leads nowhere.
package wirecheck
