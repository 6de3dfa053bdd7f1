// Package netsync has the rules by which nodes exchange lists of peers.
//
// [Rules] choose the peers that a node passes on, and a [Quota] bounds the work that
// requests cause. A [Reading] interprets the answer of another node: it finds the peers to
// store, and what the other node did wrong.
//
// Three state machines decide when a node asks which others. [Rounds] asks a few nodes at
// a time until nobody new turns up; from then on, and while it rests, it asks each node that
// connects. [Bootstrap] asks the seeds when the node knows too few peers. [Recovery] asks
// seeds and connected nodes anew when too few connections are outbound. Step takes the time
// and an event and returns effects, which the owner carries out. The machines know nothing
// of each other.
//
// All of it is pure: values in, values out, with the time and the randomness as arguments.
//
// spec: dht 9, 10.1, 10.6; V22-V25, V27.
package netsync
