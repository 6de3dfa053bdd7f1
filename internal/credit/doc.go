// Package credit bounds memory before it is used.
//
// Code that puts a body from a peer or a caller into a mailbox takes credit for it
// first, and returns the credit when the last handler is done. A reader without
// credit does not read, so the multiplexer's window fills and the sender waits;
// nothing is dropped and nothing grows.
//
// An [Account] belongs to one peer and one direction. It draws on a [Budget] that
// many accounts share. A budget may be part of a larger one. So messages that wait
// for peers without a connection, or in a full inbox, never use up the credit that
// the others need ([NodeBudgets]). A body costs its length plus [Overhead], which
// bounds the number of empty bodies as well.
//
// Waiting is fair: first come, first served within an account, and round-robin
// between the accounts that wait for the same budget. Small bodies do not overtake
// a large one at the head of its queue. The package starts no goroutine, does not
// poll, and holds no mutex while a caller waits.
//
// spec: V15.
package credit
