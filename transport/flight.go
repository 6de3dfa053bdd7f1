package transport

import "time"

// Flight says what the other end's system has acknowledged of what this end has sent on a
// connection.
type Flight struct {
	// Unacknowledged reports that something was sent that is not acknowledged.
	Unacknowledged bool
	// Unsent reports that bytes wait which the window of the other end does not let go.
	Unsent bool
	// Acknowledged is how long ago the last acknowledgement came, Received how long ago the
	// last bytes came, and Sent how long ago bytes were last sent or sent again.
	Acknowledged, Received, Sent time.Duration
}

// FlightReporter is a [Conn] that knows its [Flight].
type FlightReporter interface {
	// Flight returns the present state; ok is false where the system does not tell it,
	// and after Close.
	Flight() (f Flight, ok bool)
}

// AckDelayer is a [Conn] whose system acknowledges at once what comes.
type AckDelayer interface {
	// DelayAcks lets the system put an acknowledgement off, for as long as it does so by itself
	// (40 to 200 ms on Linux), so that an answer can carry it. It is for a peer that does not wait
	// for one before it sends small pieces. It may be called at any time and does nothing after Close.
	DelayAcks()
}
