// Package frame implements the framing of messages on a substream: four bytes with
// the length of the payload, big-endian, and then the payload, which may be empty
// (spec: comms 8.1).
//
// Writers use [Append]. Readers use [Reader], which is made for many small
// frames: it fills a buffer from its source and then returns frames from there,
// without an allocation.
package frame
