// Package netsync has the rules by which nodes exchange lists of peers.
//
// [Rules] choose the peers that a node passes on, and a [Quota] bounds the work that
// requests cause. A [Reading] interprets the answer of another node: it finds the peers to
// store, and what the other node did wrong.
//
// All of it is pure: values in, values out, with the time and the randomness as arguments.
package netsync
