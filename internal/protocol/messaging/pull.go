package messaging

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// On a substream on which everything queued is written the writer can pull: it takes new
// messages from a queue itself, and the outbox learns of each after it was written, with
// WrotePulled. Nothing may be given to Queued before the writer has stopped and all that it has
// pulled is reported: it would be overtaken.

// StartPull lets the writer pull on the open substream, and reports whether it may. It may not if
// messages wait in the outbox, or if nothing more is written on this substream.
func (o *Outbox[T]) StartPull() bool {
	if o.state != open || o.stopped || o.lost != nil || o.busy() || o.q.waiting() > 0 {
		return false
	}
	o.pulling = true
	return true
}

// Pulling reports whether the writer pulls.
func (o *Outbox[T]) Pulling() bool { return o.pulling }

// WrotePulled reports the end of a write of messages that the writer has pulled, in the
// order in which it took them. Started and err mean what they mean for Wrote. After an error
// the writer takes no more, and the substream is dropped. Messages that were not started
// wait in the outbox for the next one; the caller has to end the pull before it queues others. A
// message that was withdrawn is not written again and has no other outcome.
func (o *Outbox[T]) WrotePulled(now time.Time, entries []Entry[T], started int, err error, noConn bool) (f Effects[T]) {
	o.begin()
	if !o.pulling || len(entries) == 0 {
		o.effects(now, &f)
		return f
	}
	if err == nil {
		started = len(entries)
	}
	for i, e := range entries {
		switch {
		case !e.Withdrawn:
			o.q.push(e)
			o.unsettled++
		case i < started:
			o.q.push(Entry[T]{ID: e.ID})
			o.q.at(o.q.len() - 1).settled = true
		default:
			continue
		}
		if i < started {
			o.q.written++
		}
	}
	o.peak = max(o.peak, o.q.len())
	switch {
	case err != nil && o.lost == nil:
		o.lost, o.noConn = err, noConn
		f.Drop = true
	case o.lost == nil:
		o.prove(&f)
	}
	o.effects(now, &f)
	return f
}

// PullStopped reports that the writer pulls no more, and that WrotePulled was called for all it
// has pulled.
func (o *Outbox[T]) PullStopped(now time.Time) (f Effects[T]) {
	o.begin()
	if !o.pulling {
		o.effects(now, &f)
		return f
	}
	o.pulling = false
	if o.lost != nil {
		return o.end(now, o.lost, o.noConn)
	}
	o.effects(now, &f)
	return f
}

// ExpiredOutcome returns how the send of a message ends that the outbox has not seen and
// whose sender no longer waits. Taken says that the writer has taken the message.
func (o *Outbox[T]) ExpiredOutcome(taken bool) protocol.Outcome {
	reason, err := o.expired()
	if taken {
		return inDoubt(reason, err)
	}
	return failed(reason, err)
}
