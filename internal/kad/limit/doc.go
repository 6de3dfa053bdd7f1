// Package limit bounds what others can make a node do (spec: kad B10): the requests that
// it answers ([Limiter]), and the bytes that it sends to an address whose owner may be
// another than the one who asked ([Proofs]).
//
// Both forget: what has not been seen for the longest time makes way, so that memory is
// bounded whatever comes. Forgetting never helps an attacker: a penalty is not forgotten,
// and of an address what it sent is forgotten together with what was sent to it.
//
// Both take the monotonic time as an argument. One goroutine at a time may use a value.
package limit
