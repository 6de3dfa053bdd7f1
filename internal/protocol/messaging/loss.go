package messaging

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// attemptFailed counts a failed attempt; after the last one allowed everything
// queued ends.
func (o *Outbox[T]) attemptFailed(reason protocol.Reason, err error) {
	o.state = idle
	o.failures++
	switch reason {
	case protocol.NoPeer, protocol.Banned, protocol.NotAdmitted, protocol.Closed:
		o.failures = o.o.Attempts
	}
	if o.failures < o.o.Attempts && o.q.waiting() > 0 {
		return
	}
	o.giveUp(reason, err)
}

// giveUp ends everything queued. There is no substream then, so no message is
// written and unproven.
func (o *Outbox[T]) giveUp(reason protocol.Reason, err error) {
	o.state = idle
	o.failures, o.lostConns = 0, 0
	o.q.keep(func(s *slot[T], _ bool) bool {
		o.settleUnwritten(s, reason, err)
		return false
	})
}

func (o *Outbox[T]) wasReset(err error) { o.resets, o.reset = o.resets+1, err }

// end handles the loss of the substream. Written messages are in doubt, unless they
// ask for Resend; the others wait for the next substream.
func (o *Outbox[T]) end(now time.Time, err error, noConn bool) (f Effects[T]) {
	// Marks only grow: a proof for the lost substream must not count for messages
	// written on the next one.
	o.base += uint64(o.q.written) + 1
	before := o.resets
	d := o.pause(now, err, noConn)
	reason := protocol.ConnectionLost
	if o.resets > max(before, 1) {
		reason = protocol.NotTaken
	}
	o.q.keep(func(s *slot[T], written bool) bool {
		switch {
		case s.settled:
			return false
		case written && !s.Resend:
			o.settle(s, inDoubt(reason, err))
			return false
		}
		s.sent = s.sent || written
		return true
	})
	o.state, o.lost, o.pulling = idle, nil, false
	if d > 0 {
		o.wait(now, d)
	}
	f.Drop = true
	o.effects(now, &f)
	return f
}

// pause returns how long to wait after the end of the substream. A substream that
// carried a proven message, that lived for a while or that this side closed is
// replaced at once. For a peer that ends fresh substreams the pause grows. The first
// loss of a fresh substream together with its connection has no pause: it happens
// when one of two crossing connections is closed. spec: comms 8.1, V14
func (o *Outbox[T]) pause(now time.Time, err error, noConn bool) time.Duration {
	if now.Sub(o.opened) >= o.o.BackoffMax {
		o.freshLosses, o.resets = 0, 0
		return 0
	}
	if o.proved || o.stopped {
		return 0
	}
	o.freshLosses++
	n := o.freshLosses
	if noConn {
		n--
	} else {
		o.wasReset(err)
	}
	if n == 0 {
		return 0
	}
	return doubled(o.o.Backoff, n-1, o.o.BackoffMax)
}

func (o *Outbox[T]) wait(now time.Time, d time.Duration) {
	o.state, o.due = waiting, now.Add(d)
}

// settleUnwritten ends a message that waits: it fails, or is in doubt if it was
// written on an earlier substream.
func (o *Outbox[T]) settleUnwritten(s *slot[T], reason protocol.Reason, err error) {
	if s.sent {
		o.settle(s, inDoubt(reason, err))
	} else {
		o.settle(s, failed(reason, err))
	}
}

func (o *Outbox[T]) settle(s *slot[T], out protocol.Outcome) {
	o.unsettled--
	o.tell(&s.Entry, out)
	s.settled = true
}

func (o *Outbox[T]) tell(e *Entry[T], out protocol.Outcome) {
	o.settled = append(o.settled, Settled[T]{e.ID, e.Tag, out})
}

func failed(reason protocol.Reason, err error) protocol.Outcome {
	return protocol.Outcome{Kind: protocol.Failed, Reason: reason, Err: err}
}

func inDoubt(reason protocol.Reason, err error) protocol.Outcome {
	return protocol.Outcome{Kind: protocol.InDoubt, Reason: reason, Err: err}
}
