// Package rpc is the wire and the rules of remote calls: one substream is one
// session, and a session carries one call at a time, unary or with a stream of
// items as its answer (spec: comms 9).
//
// A service is made of methods: [Unary] and [Stream] make one of a typed
// function. A client calls with [Call] and [Items], over whatever is a
// [Caller]. Errors that cross the wire are an [Error], which is a [Status] and a
// text.
//
// Everything here is pure. Frames are values ([Request], [Response] and those
// of the handshake); what a session does next is decided by [Server] and
// [Client], and when a client opens another session by [Pool]. They take the
// time as an argument; sockets, buffers and goroutines are their caller's.
package rpc
