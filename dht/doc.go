// Package dht is the pure part of the distributed hash table's messages: the
// decisions about messages that nodes relay to each other. Package wire has
// their bytes.
//
// [Inbound] decides what becomes of a message from a peer: a [Verdict]. [Outbound]
// sends a [Message] to the peers that its [Strategy] selects, and relays the
// messages of others; [Ledger] keeps the [Report] of each send. [Dedup] remembers
// which messages have come before.
//
// All of these are machines: they start no goroutine and read no clock. Time and
// randomness come from the caller, and effects are returned to it.
package dht
