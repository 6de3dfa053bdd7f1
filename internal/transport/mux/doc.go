// Package mux carries many substreams over one connection: yamux as the
// network speaks it, by github.com/hashicorp/yamux behind a wrapper of the
// connection.
//
// The library and the peers (rust-yamux 0.10 to 0.13) agree on the frames but
// not on everything around them. Between the library and the connection stands
// a link. It sees every header of both directions and
//
//   - writes header and body together, and this side's ends as empty data frames;
//   - keeps the library's writing goroutine from waiting for the connection: its
//     frames go to an outbox, and the callers that need the frames write it out;
//   - keeps the table of live substreams, which limits and counts them;
//   - turns a reset of the peer into an end that loses no byte, and remembers it;
//   - resets a substream of this side at once, whatever its state;
//   - holds the end of the connection back until every substream that the peer
//     had opened was accepted, at most for a second;
//   - ends the connection for frames that only a broken or hostile peer sends.
//
// A [Session] starts the two goroutines of the library, and otherwise only
// short-lived ones.
// Its owner runs [Session.Accept] in a loop, reads and writes each [Stream]
// from at most one goroutine a direction, sends pings when the connection is
// silent, and closes the session when anything fails.
//
// spec: comms 5; V12
package mux
