// Package connpool holds the decisions about connections: which of two to one
// peer survives ([KeepNew], [Table]), what the node's status is ([Status]), what
// an offence is worth ([Bans], [Panics]), who may come in ([Gate]), how dials of a
// peer have gone ([Health]), whom to dial when there are too few ([Choose]), what
// to close when there are too many ([Reap], [Minimise]), and whom to use
// ([Closest], [Random]). Everything is pure: values in, values out, no clock and
// no socket.
//
// spec: comms 10.3, 11.2, 11.4, 11.6, 11.7; V 8, 30.
package connpool
