package models

import "time"

// Bounds of a trace: lines, and time.
const (
	MostTraced   = 10_000
	LongestTrace = 10 * time.Minute
)

// TraceEnded is what the last line of a trace says, whose note says why it has ended.
const TraceEnded = "trace ended"

// Traced is a line of a trace: a message that an actor has handled, or something that has happened with a
// message or a peer.
type Traced struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`             // "handled", "queued", "received", "judged", …
	Actor  string    `json:"actor,omitempty"`  // the one that was traced
	From   string    `json:"from,omitempty"`   // the actor that has sent the message
	Type   string    `json:"type,omitempty"`   // of the message
	TookMS float64   `json:"took_ms,omitzero"` // of its handling
	Queue  int       `json:"queue,omitempty"`  // messages that wait behind it
	Failed bool      `json:"failed,omitempty"` // the actor has panicked on it

	Protocol string `json:"protocol,omitempty"`
	Peer     string `json:"peer,omitempty"` // node id
	Tag      string `json:"tag,omitempty"`  // of a message of the DHT, in hexadecimal digits
	Size     int    `json:"size,omitempty"` // of the body in bytes
	Note     string `json:"note,omitempty"` // an outcome, a verdict, a cause
	Lost     uint64 `json:"lost,omitempty"` // lines before this one that were lost, as they came too fast
}
