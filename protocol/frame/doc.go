// Package frame is the canonical framing of messages on a substream: four
// bytes of length, big-endian, which do not count themselves, and then the
// payload, which may be empty (spec: comms 8.1).
//
// Writers use [Append]. Readers use [Reader], which is made for many small
// frames: it asks its source for as much as fits a buffer and then hands out
// frames from there, without an allocation.
package frame
