// Package mux carries many substreams over one connection: yamux as the network speaks it, with
// github.com/hashicorp/yamux for openings and pings.
//
// The library and the peers (rust-yamux 0.10 to 0.13) agree on the frames but not on everything
// around them. A [Session] stands between the library and the connection, and sees every header of
// both directions. The library
//
//   - opens substreams, with their SYN, and hears of those of the peer;
//   - answers the peer's pings;
//   - owns the goroutine that reads the connection, unless a Read does in its place, and one that the
//     SYNs and pongs pass through.
//
// All else is this package's: a substream's bytes in both directions, its windows, ACK, FIN and
// resets, the table that limits and counts, this side's pings and GoAway. The library forgets a
// substream as soon as that is open.
//
//	out:  Write → outflow, the peer's credit → one frame of the connection, or the outbox, which
//	      the next write takes along
//	in:   who reads the connection → inflow: into the buffer of a Read that waits, or segments → Read
//
// A session's owner hears of the end behind every substream that the peer had opened. Frames that
// only a broken or hostile peer sends end it.
//
// Besides the library's goroutines a [Session] starts only short-lived ones. Its owner hears of
// the peer's substreams by [Session.Handle], reads and writes each [Stream] from at most one goroutine a
// direction, sends pings when the connection is silent, and closes the session when anything fails.
//
// spec: comms 5; V12
package mux
