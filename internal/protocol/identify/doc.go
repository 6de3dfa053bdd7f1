// Package identify implements the identity exchange (spec: comms 7): the frame by
// which each end of a new connection identifies itself, the checks of the other
// end's frame, and the ban for each failed check.
//
//	version (1 byte) | length (2 bytes, little-endian) | protobuf message
//
// Both sides write at once, and then [Read] and [Decode] the frame of the other side.
// The caller sets the time limit: see [Silent].
package identify
