// Package messaging decides what happens to the messages for one peer: when to
// dial, when to open the substream, what to write next, and how each send ends.
//
// The [Outbox] is a pure state machine: it takes the time and an event and says
// what to do. It knows no socket, no clock and no actor; the messaging session
// carries its effects out. Wire format: spec: comms 8.1. Attempts: comms 8.2.
// Outcomes: comms 14.1 item 12.
//
//	       Queued            Dialled            Opened
//	idle ---------> dialling --------> opening --------> open
//	  ^                | failed           | failed, or     | Ended, or
//	  |                |                  | ConnectionGone | a failed write
//	  +----------------+------------------+----------------+
//	  |                                   v                v
//	  +------------- Due ------------ backing off <--------+
//
// Idle with something queued is never a resting place: the machine dials at
// once. A dial or an open that fails is followed by another; when the last
// attempt allowed has failed, everything queued fails with it. A message that
// was written leaves by a proof ([Outbox.Proven]) or by the end of its
// substream, never by a limit of time of the machine's own: an open substream
// stays open (comms 91), and a caller's limit comes in as [Outbox.Withdrawn].
package messaging
