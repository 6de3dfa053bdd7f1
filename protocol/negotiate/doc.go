// Package negotiate agrees on the protocol of a fresh substream (spec: comms
// 6). Whoever opened the substream proposes ids with [Open], or names one
// with [OpenOptimistic] and speaks at once; the other side answers with
// [Accept].
//
// A frame is one byte of length, one of flags and the id:
//
//	length (0..255) | flags | id
//
// Both sides read exactly their frames: what follows belongs to the protocol.
// Time limits are the caller's, who resets the substream: a call then returns
// the error of its read or write.
package negotiate
