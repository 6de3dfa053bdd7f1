// Package messaging is the state machine for the messages to one peer: when to dial,
// when to open the substream, what to write next, and how each send ends.
//
// The [Outbox] is pure: it takes the time and an event and returns what to do. It
// uses no socket, clock or actor; the actor of the peer's messages carries out its
// effects. Wire format: spec: comms 8.1. Attempts: comms 8.2. Outcomes: comms 14.1
// item 12.
//
//	       Queued            Dialled            Opened
//	idle ---------> dialling --------> opening --------> open
//	  ^                | failed           | failed, or     | Ended, or
//	  |                |                  | ConnectionGone | a failed write
//	  +----------------+------------------+----------------+
//	  |                                   v                v
//	  +------------- Due ------------ backing off <--------+
//
// An idle outbox with a message in its queue dials at once. After a dial or an open
// that failed it tries again; when the last allowed attempt has failed, everything in
// the queue fails. A written message ends with a proof ([Outbox.Proven]) or with the
// end of its substream. The machine itself has no time limit for it: an open
// substream stays open (comms 91), and a caller reports its own time limit with
// [Outbox.Withdrawn].
package messaging
