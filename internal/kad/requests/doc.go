// Package requests keeps the requests that one gateway of the key-value DHT has under way: which
// answer belongs to which request, when a request is sent again, when it is slow, and when
// it is lost.
//
// A [Machine] gets events, such as a request to send or an answer that came in, and returns
// effects, such as a datagram to send. It has no clock and no goroutine, and of randomness
// it has only what it is given. Every request that is begun ends in exactly one [Answered]
// or [Lost].
//
// spec: kad B6
package requests
