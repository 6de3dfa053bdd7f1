// Package wire holds the encoding of the messages that nodes of the distributed
// hash table relay to each other, and their signatures and encryption.
//
// A message is an [Envelope]: a [Header], and a body that is an [AppendBody]
// of parts in clear or sealed for one recipient. [Compose] makes one, signed
// or encrypted; [DecodeEnvelope], [Envelope.VerifyOrigin] and [Envelope.Open]
// are the steps back. [DedupHash] says which messages are the same. The other
// types are the contents of bodies: [Announcement], [StoredRequest],
// [StoredResponse], [DomainHeader] and [Ping]; and those of calls: [GetPeers],
// [GetCloserPeers] and [PeerInfo].
//
// The header is encoded by hand, because nodes that compare bytes expect its
// fields in ascending order. Everything that is hashed or signed is taken as
// it was received and never encoded anew.
//
// The package starts no goroutine and reads no clock; randomness comes from
// the caller. Byte slices in decoded values point into the input.
package wire
