// Package identify is the identity exchange (spec: comms 7): the frame in
// which both ends of a new connection say who they are, and the checks by
// which each accepts the other's, with the ban that each failure is worth.
//
//	version (1 byte) | length (2 bytes, little-endian) | protobuf message
//
// Both sides write at once; then [Read] and [Decode] the other's. The time
// limit is the caller's: see [Silent].
package identify
