package actors

// CloseReason says why a connection ended and who ended it.
type CloseReason struct {
	Code string // one of the Close constants
	By   string // "us", "peer" or "network"
	Err  error  // detail; may be nil
}

// String returns the code, who ended the connection, and the detail.
func (r CloseReason) String() string {
	s := r.Code
	if r.By != "" {
		s += " by " + r.By
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// The codes of a CloseReason.
const (
	CloseRequested = "requested"         // Disconnect was called, or its actor was stopped by hand
	CloseShutdown  = "shutdown"          // the node is closing
	CloseTieBreak  = "duplicate"         // another connection to the peer has taken its place
	CloseBanned    = "banned"            // the peer is banned
	CloseUnlisted  = "not admitted"      // the peer is no longer admitted
	CloseSecret    = "secret given up"   // it was set up with a secret that the private network has given up
	CloseViolation = "violation"         // the peer broke the rules
	CloseEnded     = "ended"             // the peer closed it or the network cut it
	CloseNoAnswer  = "no answer"         // the peer answers no pings, or acknowledges nothing
	CloseStalled   = "stalled"           // the peer read nothing for too long
	ClosePanics    = "repeated panics"   // the peer's messages made the node's own actors panic, three times in a minute
	CloseBlamed    = "blamed"            // the application blamed the peer three times in a minute
	CloseChurn     = "churn"             // too many of the peer's substreams ended without an agreed protocol
	CloseCrashed   = "connection failed" // an actor of the connection failed; see the tree
	CloseReaped    = "reaped"            // it was idle, and there were too many connections
	CloseReplaced  = "replaced"          // it was idle and had never been useful, and a new inbound connection took its place
	CloseMinimised = "minimised"         // the node keeps only the connections to its closest nodes
)

// Orderly reports whether a close for this reason lets messaging substreams end
// first (spec: comms 146).
func (r CloseReason) Orderly() bool {
	switch r.Code {
	case CloseRequested, CloseShutdown, CloseReaped, CloseMinimised, CloseReplaced, CloseSecret:
		return true
	}
	return false
}

// SparesUsed reports whether a close for this reason must spare a connection that is in
// use by now.
func (r CloseReason) SparesUsed() bool {
	return r.Code == CloseReaped || r.Code == CloseMinimised
}
