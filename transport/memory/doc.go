// Package memory is a transport inside one process, for tests, examples and
// programs with several nodes. It carries bytes, with the manners of a TCP
// socket: bounded buffers, partial reads, deadlines, half-close, reset when a
// connection is closed with unread data or cut. Noise and yamux run on it
// unchanged.
//
// A [Network] is a set of ports, the addresses /memory/1 to /memory/65535.
// Each node takes its own [Transport] from it. Between nodes one can set
// latency, jitter and bandwidth, cut connections, and part and join nodes
// again while they run.
//
// Nothing here has a goroutine, and an idle connection has no timer and no
// buffer, so that thousands of connections cost nothing while a testing/synctest
// bubble advances its clock. A listener or connection made inside a bubble
// belongs to it; a Network itself belongs to nobody.
//
// spec: comms 2.4
package memory
