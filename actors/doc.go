// Package actors has what a program sees of a node's actors: events, messages, connections, and
// [Part], a subsystem of a program's own beside those of the node. Package gamelan has short names
// for most of it.
package actors
