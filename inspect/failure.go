package inspect

import "time"

// Failure is one failure of an actor, newest first in /v1/failures.
type Failure struct {
	At          time.Time `json:"at,omitzero"`
	Actor       string    `json:"actor"`
	Incarnation uint64    `json:"incarnation"`
	MessageType string    `json:"message_type,omitempty"`
	Reason      string    `json:"reason"`
	Where       string    `json:"where,omitempty"` // place in the code, such as "account.go:42"
	Peer        string    `json:"peer,omitempty"`  // sender of the message, if a peer sent it
	StackID     string    `json:"stack_id,omitempty"`
}

// DeadLetter describes a message that no actor handled, without its payload.
type DeadLetter struct {
	At          time.Time `json:"at"`
	Target      string    `json:"target"`
	Sender      string    `json:"sender,omitempty"`
	MessageType string    `json:"message_type"`
	Size        int       `json:"size,omitempty"`
	Cause       string    `json:"cause"` // stopped, older_incarnation, no_such_actor or undelivered
}
