// Package seedwire holds the datagrams of the overlay Seed: the UDP protocol of the program
// that the DHT began as, to the byte (spec: kad A6).
//
// A datagram is one message: its id, the sender's id, a tag, and what the tag says.
// Integers are little-endian; bytes, text and lists have their length in front, in eight
// bytes. There is no version and no checksum, and nobody is authenticated, so [Codec]
// checks every length, and reports what is wrong as an [overlay.DecodeError].
//
// [Codec.Select] says which contacts an answer may list. Which received ones are of use is
// decided in package gateway, and the limits on what an address is sent are in package limit.
package seedwire
