// Package protocol holds the types that every layer above shares: protocol
// ids, networks, the wire [Profile], the substream interface, outcomes of
// sends, violations with their bans, ranges of addresses, and what a node says
// of its choices among peers and of its limits.
//
// The codecs are in the packages internal/protocol/frame, negotiate, identify and address.
// None of them starts a goroutine, reads a clock or opens a socket. A codec blocks
// only in the reader or writer that it was given, on its caller's goroutine.
package protocol
