package actors

// CloseReason says why a connection ended and who ended it.
type CloseReason struct {
	Code string // one of the Close constants
	By   string // "us", "peer" or "network"
	Err  error  // detail; may be nil
}

// String is the reason in words.
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

// Why connections end.
const (
	CloseRequested = "requested"         // Disconnect was called
	CloseShutdown  = "shutdown"          // the node is closing
	CloseTieBreak  = "duplicate"         // another connection to the peer survived
	CloseBanned    = "banned"            // the peer is banned
	CloseViolation = "violation"         // the peer broke the rules
	CloseEnded     = "ended"             // the other side closed it or the network cut it
	CloseNoPong    = "no pong"           // the peer answers no pings
	CloseStalled   = "stalled"           // the peer took nothing for too long
	ClosePanics    = "repeated panics"   // its messages made actors of the node's own panic
	CloseBlamed    = "blamed"            // by the application, three times in a minute
	CloseChurn     = "churn"             // too many of its substreams ended without an agreed protocol
	CloseCrashed   = "connection failed" // its actor failed; see the tree
	CloseReaped    = "reaped"            // idle, and there are too many connections
	CloseReplaced  = "replaced"          // idle and never of use, and all places for inbound connections were taken
	CloseMinimised = "minimised"         // others are closer, and only so many are kept
)

// Orderly reports whether a close for this reason lets messaging substreams end
// first (spec: comms 146).
func (r CloseReason) Orderly() bool {
	switch r.Code {
	case CloseRequested, CloseShutdown, CloseReaped, CloseMinimised, CloseReplaced:
		return true
	}
	return false
}

// sparesUsed reports whether a close for this reason is one of a connection that
// nobody uses.
func (r CloseReason) sparesUsed() bool {
	return r.Code == CloseReaped || r.Code == CloseMinimised
}
