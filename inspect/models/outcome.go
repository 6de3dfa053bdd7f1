package models

// Outcome is the one outcome of one message: "confirmed", "in_doubt" or "failed".
// Confirmed means that the peer's multiplexer has read the message, not that a program
// there has handled it.
type Outcome struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"` // of a failure: "dial failed", "banned", …
	Detail  string `json:"detail,omitempty"`
	Code    string `json:"code,omitempty"` // of package inspect/codes; Detail ends with what helps
}

// The three outcomes.
const (
	OutcomeConfirmed = "confirmed"
	OutcomeInDoubt   = "in_doubt"
	OutcomeFailed    = "failed"
)

// Sent is one line of the answer to POST /v1/messages: the outcome of the Nth message of
// the request, counted from 1. Lines come in the order of the messages. MS is the time
// since the message was accepted, in milliseconds.
type Sent struct {
	N    uint64 `json:"n"`
	Peer string `json:"peer"`
	Outcome
	MS float64 `json:"ms"`
}

// SentReport is one line of the answer to POST /v1/dht/messages: the report of the Nth
// message of the request, counted from 1, in the order of the messages. MS is the time
// since it was accepted, in milliseconds.
type SentReport struct {
	N uint64 `json:"n"`
	Report
	MS float64 `json:"ms"`
}
