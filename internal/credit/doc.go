// Package credit bounds memory before it is used.
//
// Whoever puts a body of a peer's or a caller's choosing into a mailbox first
// takes credit for it and returns the credit when the last handler is done. A
// reader without credit does not read, so the multiplexer's window fills and
// the sender waits; nothing is dropped and nothing grows.
//
// An [Account] belongs to one peer and one direction. It draws on a [Budget],
// which many accounts share; a budget may be part of a larger one, so that what
// is queued for peers without a connection, or waits in a full inbox, can never
// use up what the others need ([NodeBudgets]). A body costs its length plus [Overhead], which bounds
// the number of empty ones as well.
//
// Waiting is fair: first come, first served within an account, and turn about
// between the accounts that wait for the same budget. A large body at the head
// of its queue is not overtaken for ever by small ones. No goroutine is started,
// nothing polls, and no mutex is held while a caller waits.
//
// spec: V15.
package credit
