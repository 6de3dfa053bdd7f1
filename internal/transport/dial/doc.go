// Package dial decides which peer to dial and when. It is a pure state machine,
// without socket, clock or goroutine: its owner passes it events and carries out its
// effects.
//
//	wanted ──▶ queued ──▶ dialling ──▶ adopting ──▶ settled
//	             ▲            │            │
//	             └─ waiting ◀─┴────────────┘          (failed, attempts left)
//
// There is one dial per peer, called a wish: a second request for the same peer joins
// the wish and gets its result. A successful dial is not a connection yet: it may lose
// against one that the peer opened at the same time. So the wish stays "adopting" until
// a connection to the peer, in either direction, is announced.
//
// spec: comms 10.2, 10.3; V9.
package dial
