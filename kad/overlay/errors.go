package overlay

import (
	"fmt"
	"time"
)

// Stage is the part of a message that a decoder was reading.
type Stage string

// The stages. Those of the datagrams of the overlay Seed are in their order.
const (
	StageRequestID Stage = "request id"
	StageSender    Stage = "sender"
	StageTag       Stage = "tag"
	StageTarget    Stage = "target" // or key
	StageValue     Stage = "value"
	StageContacts  Stage = "contacts"
	StageAddress   Stage = "address"

	StageFrame    Stage = "frame"
	StageRequest  Stage = "request"
	StageResponse Stage = "response"
	StageRecord   Stage = "record"
)

// DecodeError reports bytes that are no message: of either wire, and of a record. The
// bytes are dropped and counted; nothing else follows from them in the overlay Seed,
// whose senders anybody can invent.
type DecodeError struct {
	Stage Stage
	// Cause is one of the errors of this package or of the codec, for errors.Is.
	Cause error
}

// Error names the stage and the cause.
func (e *DecodeError) Error() string { return fmt.Sprintf("kad: decode %s: %v", e.Stage, e.Cause) }

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Cause }

// ValueTooLargeError reports a value, or a message, that is longer than a gateway carries.
type ValueTooLargeError struct {
	Size, Max int    // in bytes
	Gateway   string // or what else sets the limit
}

// Error names the limit, and what sets it.
func (e *ValueTooLargeError) Error() string {
	return fmt.Sprintf("kad: %d bytes, and %s takes at most %d", e.Size, e.Gateway, e.Max)
}

// RateLimitedError reports a contact that answers no more requests for a while.
type RateLimitedError struct{ RetryAfter time.Duration }

// Error says when to try again.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("kad: the node limits requests; try again in %v", e.RetryAfter)
}

// LimitError reports a lookup that took more than it may. It was ended with what it had.
type LimitError struct {
	What string // "time", "contacts asked", "contacts heard of" or "bytes"
	Max  string
}

// Error names the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("kad: lookup ended at its limit of %s (%s); try again, the contacts that misled it have lost score", e.What, e.Max)
}

// PartialError reports that fewer nodes than the quorum store a record.
type PartialError struct{ Report Report }

// Error gives the numbers, and the most frequent reason.
func (e *PartialError) Error() string {
	counts := make(map[string]int)
	most, n := "no contact was asked", 0
	for _, o := range e.Report.Outcomes {
		text := o.State.String()
		switch {
		case o.Accepted():
			continue
		case o.State == Refused:
			text += ": " + o.Status.String()
		case o.Why != "":
			text = o.Why
		}
		if counts[text]++; counts[text] > n {
			most, n = text, counts[text]
		}
	}
	return fmt.Sprintf("kad: %d of %d nodes that were asked store the record, want %d (%s); it is published again later",
		e.Report.Accepted, len(e.Report.Outcomes), e.Report.Quorum, most)
}
