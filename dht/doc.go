// Package dht is the pure part of the distributed hash table's messages: what
// travels inside the messages of a connection when nodes pass them on to each
// other.
//
// A message is an [Envelope]: a [Header], and a body that is an [AppendBody]
// of parts in clear or sealed for one recipient. [Compose] makes one, signed
// or encrypted; [DecodeEnvelope], [Envelope.VerifyOrigin] and [Envelope.Open]
// are the steps back. [DedupHash] says which messages are the same.
//
// The header is written by hand, because nodes that compare bytes expect its
// fields in ascending order. Everything that is hashed or signed is taken as
// it was received and never encoded anew.
//
// The package starts no goroutine and reads no clock; randomness comes from
// the caller. Byte slices in what it decodes point into the input.
package dht
