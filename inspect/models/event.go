package models

import "time"

// Event is something that happened in the life of a node. Its fields never change their meaning.
type Event struct {
	// ID is its place among all events of the node, over restarts: the number of the start, a dot,
	// and a number that grows by one. Give it as "since" to go on behind it.
	ID       string            `json:"id"`
	At       time.Time         `json:"at"`
	Type     string            `json:"type"` // such as conn.opened; docs/events.md lists them
	Severity EventSeverity     `json:"severity"`
	What     string            `json:"what"`           // in words; it may hold text of strangers
	Peer     string            `json:"peer,omitempty"` // node id
	Addr     string            `json:"addr,omitempty"`
	Code     string            `json:"code,omitempty"` // of package inspect/codes
	Data     map[string]string `json:"data,omitempty"`
}

// EventSeverity says whether somebody should look.
type EventSeverity string

// The severities.
const (
	EventInfo    EventSeverity = "info"    // as it should be
	EventWarning EventSeverity = "warning" // somebody may want to know
	EventError   EventSeverity = "error"   // somebody should look
)

// The types of events.
const (
	NodeStarted    = "node.started"
	NodeOnline     = "node.online"
	NodeOffline    = "node.offline"
	NodeDegraded   = "node.degraded" // it is connected to too few
	NodeStopping   = "node.stopping"
	NodeSlept      = "node.slept" // its machine has slept, such as a laptop that was closed
	ConnOpened     = "conn.opened"
	ConnClosed     = "conn.closed"
	DialFailed     = "dial.failed"
	PeerBanned     = "peer.banned"
	PeerUnbanned   = "peer.unbanned"
	TroubleBegan   = "trouble.began" // something is wrong from now on; Code says what
	TroubleOver    = "trouble.over"
	ActorFailed    = "actor.failed"
	ActorRestarted = "actor.restarted" // somebody has restarted it
	ActorStopped   = "actor.stopped"   // somebody has stopped it
	OwnAddresses   = "own.addresses"   // those that the node tells others have changed
	OwnReach       = "own.reach"       // whether others can connect to them has changed
	AdminActed     = "admin.acted"     // somebody has made the node do something
	EventsUntold   = "events.untold"   // there were too many; Data counts those that were left out
	EventsLost     = "events.lost"     // those that a reader asked for are gone; Data counts them
)

// Events are some events, oldest first.
type Events struct {
	Events []Event `json:"items"`
	Next   string  `json:"next"`           // give it as "since" for those that follow
	Lost   uint64  `json:"lost,omitempty"` // of those asked for, events that are gone
	// Reset says that since is of another history, such as that of another data directory: these are the oldest events.
	Reset bool `json:"reset,omitempty"`
	// Earlier says that earlier events match, too. It is set without "since" alone.
	Earlier bool `json:"earlier,omitempty"`
	// Note says what was changed in the request, if anything.
	Note string `json:"note,omitempty"`
}
