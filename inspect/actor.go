package inspect

import "time"

// State is what an actor is doing, as seen from outside.
type State string

// The states of an actor. A busy actor has a message in hand; a stuck one has
// had the same message in hand for longer than the supervisor's watchdog
// allows. An unsupervised actor was spawned without the supervisor: only its name is
// known.
const (
	Starting     State = "starting"
	Running      State = "running"
	Busy         State = "busy"
	Suspended    State = "suspended"
	Restarting   State = "restarting"
	BackingOff   State = "backing_off"
	Stopping     State = "stopping"
	Stuck        State = "stuck"
	Failed       State = "failed"
	Unsupervised State = "unsupervised"
)

// states lists every State, in the order in which hints name them.
var states = []State{Starting, Running, Busy, Suspended, Restarting, BackingOff, Stopping, Stuck, Failed, Unsupervised}

// Actor is one actor of the tree at one moment.
type Actor struct {
	ID     string `json:"id"` // full path, which is also its PID
	Parent string `json:"parent,omitempty"`
	Name   string `json:"name"`
	Kind   string `json:"kind,omitempty"`
	Type   string `json:"type,omitempty"` // Go type
	State  State  `json:"state"`

	Incarnation    uint64       `json:"incarnation"`
	StartedAt      time.Time    `json:"started_at,omitzero"`
	Restarts       uint64       `json:"restarts"`
	RestartsWindow int          `json:"restarts_window"` // restarts that the policy still counts
	LastFailure    *LastFailure `json:"last_failure,omitempty"`
	NextRestartAt  time.Time    `json:"next_restart_at,omitzero"`
	Policy         string       `json:"policy,omitempty"`   // what happens when it fails: restart, temporary, isolate or, at the top, stop
	OnPanic        string       `json:"on_panic,omitempty"` // only of users' actors; what a panic does first: restart, contain or stop

	Mailbox   Mailbox  `json:"mailbox"`
	Current   *Current `json:"current,omitempty"`
	Processed uint64   `json:"processed"`
	Rate      *float64 `json:"rate_1m,omitempty"` // messages a second; absent until there is an earlier sample
	BusyTotal int64    `json:"busy_ns_total"`
	BusyPct   *float64 `json:"busy_pct_1m,omitempty"`

	Contained  uint64   `json:"contained,omitempty"`     // panics on peers' messages
	Missed     uint64   `json:"events_missed,omitempty"` // events dropped while it waited for its restart
	Goroutines []string `json:"goroutines,omitempty"`
	Tasks      []Task   `json:"tasks,omitempty"` // the oldest first
	Children   int      `json:"children"`
	Watchers   int      `json:"watchers"`
	WatchedBy  []string `json:"watched_by,omitempty"` // actors that are told of its end, at most 1,000; its parent is always told
	Watches    []string `json:"watches,omitempty"`    // actors of whose end it is told; only of a single actor
	Labels     *Labels  `json:"labels,omitempty"`

	// Line is the actor's one-line description of itself, and Detail its full one.
	// Both are absent if the request did not ask for them.
	Line          string `json:"line,omitempty"`
	Detail        any    `json:"detail,omitempty"`
	DetailTimeout bool   `json:"detail_timeout,omitempty"`

	stack []byte // of LastFailure
}

// LastFailure is the last failure of an actor. Where is the place in the code, such as
// "account.go:42". StackID names the stack in the answer to /v1/actors/{path}/stacks; equal
// stacks have equal ids.
type LastFailure struct {
	At          time.Time `json:"at,omitzero"`
	Reason      string    `json:"reason"`
	MessageType string    `json:"message_type,omitempty"`
	Where       string    `json:"where,omitempty"`
	StackID     string    `json:"stack_id,omitempty"`
}

// Mailbox counts the messages that wait for an actor. A warning is logged at AlarmDepth.
type Mailbox struct {
	Depth       int   `json:"depth"`
	SystemDepth int   `json:"system_depth"`
	HighWater   int   `json:"high_water"`
	AlarmDepth  int   `json:"alarm_depth,omitempty"`
	OldestAgeMS int64 `json:"oldest_age_ms"`
}

// Current is the message that an actor has in hand.
type Current struct {
	MessageType string    `json:"message_type"`
	Since       time.Time `json:"since,omitzero"`
	AgeMS       int64     `json:"age_ms"`
}

// Task is work that runs beside an actor. Many tasks run for as long as the actor does.
type Task struct {
	Name  string `json:"name"`
	AgeMS int64  `json:"age_ms"`
}

// Labels name the peer, connection or protocol of an actor. They come from its path.
type Labels struct {
	Peer      string `json:"peer,omitempty"`
	Conn      string `json:"conn,omitempty"`
	Protocol  string `json:"protocol,omitempty"`
	Direction string `json:"direction,omitempty"`
}
