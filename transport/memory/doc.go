// Package memory is a transport inside one process, for tests, examples and
// programs with several nodes. It carries bytes like a TCP socket: with bounded
// buffers, partial reads, deadlines, half-close, and a reset when a connection is cut or
// closed with unread data. Noise and yamux run on it unchanged.
//
// A [Network] is a set of ports, the addresses /memory/1 to /memory/65535. Each node
// takes its own [Transport] from it. While nodes run, a test can set latency, jitter and
// bandwidth between them, cut connections, and make and heal partitions.
//
// The package starts no goroutine, and an idle connection has no timer and no buffer. So
// thousands of connections cost nothing while a testing/synctest bubble advances its
// clock. A listener or connection made inside a bubble belongs to the bubble; a Network
// does not.
//
// spec: comms 2.4
package memory
