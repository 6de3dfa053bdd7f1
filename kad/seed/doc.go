// Package seed is the key-value DHT in the vocabulary of the program that it began as, for
// people who port programs: new, register gateway, start, connect, query, save, number of
// known peers, stop (spec: kad A2, B14).
//
// Where that program panicked, calls here return errors. Connect says who has answered.
// Calls that wait take a context. A [Service] may be started again after it was stopped, as
// a node with another id that stores nothing. Values that were saved are published again
// while the service runs.
//
// Programs that are written anew use package kad, and [UDP] as one of its networks to join that of
// ported programs.
package seed
