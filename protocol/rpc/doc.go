// Package rpc implements the wire format and the state machines of remote calls. One
// substream is one session. A session carries one call at a time; the answer is one
// message or a stream of items (spec: comms 9).
//
// A [Service] consists of methods: [Unary] and [Stream] make a method of a typed
// function, [UnaryBytes] and [StreamBytes] one of a function on bytes. A client calls with
// [Call], [Items], [CallBytes] and [ItemsBytes], through an [Invoker]. Messages are
// protobuf messages or, as JSON, plain Go types: see [Encoding]. An error crosses the wire
// as an [Error]: a [Status] and a text.
//
// [Server], [Client] and [Pool] are pure state machines. Server and Client decide
// what a session does next, and Pool when a client opens another session. They take
// the time as an argument; their callers provide sockets, buffers and goroutines.
// Frames are values: [Request], [Response] and those of the handshake.
package rpc
