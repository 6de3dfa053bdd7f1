// Package manycalls is the protocol of a session that carries many calls at once: version 1 of the sessions of
// package rpc. Nodes of this library offer it beside version 0, to each other only.
//
// A frame belongs to one call, or to the session. A message goes in parts of at most [MaxPart] bytes, so that
// a long one holds up nobody. The receiver of messages gives credit: each call begins with [First] bytes, and
// all calls share up to [Shared] bytes for the first message of each, when the receiver has memory for them. So a frame can always be read at once, and a
// call whose messages nobody takes stops its own sender and no other.
//
// [Session] is a pure state machine of both ends. Its caller provides the lock, the memory accounts, sockets
// and goroutines.
//
// spec: V37
package manycalls
