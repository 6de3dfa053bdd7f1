// Package put stores a record at the nodes nearest to its key, after a lookup has found
// them.
//
// A [Put] is one such work. It gets events, such as a holder that accepts, and returns
// effects, such as a contact to store at. It has no clock, no goroutine and no randomness.
//
// spec: kad B9.1
package put
