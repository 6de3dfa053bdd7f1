// Package connpool decides about connections: which of two connections to one peer
// survives ([Table]), the status of the node ([Status]), the consequences of
// an offence ([Bans], [Panics], [Offenders]), which inbound connections to accept ([Gate]),
// the statistics of dials ([Health]), which peers to dial when there are too few
// connections ([Choose]), which connections to close when there are too many ([Reap],
// [Minimise], [Replaceable]), and which peers to use ([Closest], [Random]). The package is
// pure: it uses no clock, socket or goroutine.
//
// spec: comms 10.3, 11.2, 11.4, 11.6, 11.7; V 8, 30.
package connpool
