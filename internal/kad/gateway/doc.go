// Package gateway decides what a gateway of the key-value DHT sends, and what it believes of
// what comes in.
//
// A [Machine] joins the requests under way (package requests) with the limits on requests and on
// bytes to addresses that may be invented (package limit). It gets decoded messages and
// returns messages to send; reading, writing and the codec are its owner's. It has no clock
// and no goroutine, and of randomness it has only what it is given.
//
// Where anybody can invent the address that a datagram comes from ([Options.Unproven]), an
// address is proven when a random message id that was sent there comes back in a list of
// contacts or with a value. Until then it gets at most three times the bytes that it sent:
// answers, and a probe, which asks it for this node's own id. Only proven addresses become
// contacts and may store.
//
// spec: kad A9, B6, B10
package gateway
