// Package dial decides whom to dial and when. It is a machine without socket,
// clock or goroutine: its owner tells it what happened and carries out what it
// answers.
//
//	wanted ──▶ queued ──▶ dialling ──▶ adopting ──▶ settled
//	             ▲            │            │
//	             └─ waiting ◀─┴────────────┘          (failed, attempts left)
//
// There is one dial per peer: whoever wants a peer that is wanted already joins
// that wish and gets its result. A dial that succeeded is not a connection yet:
// it may lose against one that the peer opened at the same time. The wish
// therefore stays "adopting" until a connection to the peer, of whichever
// direction, is announced.
//
// spec: comms 10.2, 10.3; V9.
package dial
