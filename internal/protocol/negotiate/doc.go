// Package negotiate agrees with the peer on the protocol of a new substream
// (spec: comms 6). The side that opened the substream proposes ids with [Open], or
// names one with [OpenOptimistic] and sends data at once. The other side answers with
// [Accept]. With [OpenAsking] the opener sends data at once and still reads an answer,
// which the other side gives when it likes: see [Choose].
//
// A frame is one byte of length, one of flags and the id:
//
//	length (0..255) | flags | id
//
// Both sides read exactly these frames; the bytes after them belong to the protocol.
// The caller sets a time limit by resetting the substream: the call then returns the
// error of its read or write.
package negotiate
