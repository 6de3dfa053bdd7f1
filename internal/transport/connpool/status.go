package connpool

import "fmt"

// State is the state of the node's connectivity.
type State uint8

const (
	Initializing State = iota // not evaluated yet
	Online                    // enough nodes
	Degraded                  // some, or only clients
	Offline                   // no peer
)

// String returns the state in one word.
func (s State) String() string {
	switch s {
	case Initializing:
		return "initializing"
	case Online:
		return "online"
	case Degraded:
		return "degraded"
	case Offline:
		return "offline"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MarshalText returns the same text as [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is the state of the node's connectivity and the numbers behind it. The zero value
// is that of a node that has just started.
type Status struct {
	State   State
	Nodes   int // connected full nodes
	Clients int // other connected peers
	Min     int // nodes wanted
}

// Next returns the status with these numbers of connected full nodes and other peers, when
// at least min nodes (1 if less) are wanted. publish reports whether to publish it: Online
// and Offline when they begin, Degraded also when the number of nodes changes.
//
// spec: comms 11.2.
func (s Status) Next(nodes, clients, min int) (next Status, publish bool) {
	if min < 1 {
		min = 1
	}
	next = Status{Nodes: nodes, Clients: clients, Min: min}
	switch {
	case nodes >= min:
		next.State = Online
	case nodes > 0 || clients > 0:
		next.State = Degraded
	default:
		next.State = Offline
	}
	publish = next.State != s.State || next.State == Degraded && next.Nodes != s.Nodes
	return next, publish
}

// Cause returns the reason for the state in a sentence.
func (s Status) Cause() string {
	switch s.State {
	case Online:
		return "connected to " + count(s.Nodes, "node")
	case Degraded:
		if s.Nodes == 0 {
			return fmt.Sprintf("connected to %s but to no node, %s", count(s.Clients, "client"), s.needed())
		}
		return fmt.Sprintf("connected to %s, %s", count(s.Nodes, "node"), s.needed())
	case Offline:
		return "connected to nobody"
	}
	return "starting; connections not counted yet"
}

// needed returns how many nodes make the state Online.
func (s Status) needed() string {
	if s.Min == 1 {
		return "at least 1 is needed to be online"
	}
	return fmt.Sprintf("at least %d are needed to be online", s.Min)
}

// String returns state and cause.
func (s Status) String() string { return s.State.String() + ": " + s.Cause() }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
