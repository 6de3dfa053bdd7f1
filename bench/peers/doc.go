// Package peers measures nodes that run in processes of their own, so that nodes
// of Gamelan and of Tari are measured in the same way: both ends of a connection
// are programs that take the same commands, a line each, and only they are
// counted. Tari's are those of tests/interop, Gamelan's is this program again.
package peers
