// Package onecall has the wire format and the state machines of sessions that carry one call at a time, which every
// peer knows (spec: comms 9). Package manycalls has those that nodes of this library use among themselves.
//
// [Server], [Client] and [Pool] are pure. Server and Client decide what a session does next, and Pool when a client
// opens another session. They take the time as an argument; their callers provide sockets, buffers and goroutines.
// Frames are values: [Request], [Response] and those of the handshake.
package onecall
