package models

import "time"

// Drain is the answer of the verb drain of the section "node".
type Drain struct {
	Draining    bool      `json:"draining"`       // the node makes no new connections
	Since       time.Time `json:"since,omitzero"` // zero: it does not drain
	Connections int       `json:"connections"`    // that it has
	Calls       int       `json:"calls"`          // under way, of peers and its own
	Bytes       int64     `json:"bytes"`          // of messages and calls that are being sent or handled
}
