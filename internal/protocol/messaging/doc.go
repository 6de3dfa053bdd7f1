// Package messaging is the state machine for the messages to one peer: when to dial,
// when to open the substream, what to write next, and how each send ends.
//
// Two machines decide. An [Outbox] has the messages, and [Outgoing], which has the outbox, the
// substream. They are pure: they take the time and an event and return what to do, and use no
// socket, clock or actor. The actor of the peer's messages carries out what Outgoing asks for.
// Wire format: spec: comms 8.1. Attempts: comms 8.2. Outcomes: comms 14.1 item 12. The outbox:
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
