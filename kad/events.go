package kad

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// EventKind says what has happened to a client.
type EventKind uint8

// The kinds of events.
const (
	StateChanged   EventKind = iota + 1 // State is the new one
	ContactAdded                        // Contact is live now
	ContactRemoved                      // Contact is not live any more
	ModeChanged                         // Mode is the new one
	StoreFull                           // a record of a peer was refused because of a quota; at most once a minute
	EventsMissed                        // Missed events came faster than they were read
)

// String returns the kind in words.
func (k EventKind) String() string {
	switch k {
	case StateChanged:
		return "state changed"
	case ContactAdded:
		return "contact added"
	case ContactRemoved:
		return "contact removed"
	case ModeChanged:
		return "mode changed"
	case StoreFull:
		return "store full"
	case EventsMissed:
		return "events missed"
	}
	return "unknown"
}

// Event is something that has happened to a client. Fields that its Kind does not use are
// zero.
type Event struct {
	Kind    EventKind
	At      time.Time // by the system's clock
	State   State
	Mode    Mode
	Contact Contact
	Missed  uint64
}

// String returns the event in words.
func (e Event) String() string {
	switch e.Kind {
	case StateChanged:
		return e.State.String()
	case ModeChanged:
		return "mode " + e.Mode.String()
	case ContactAdded, ContactRemoved:
		return e.Kind.String() + ": " + e.Contact.ID.Short()
	case EventsMissed:
		return fmt.Sprintf("%d events missed", e.Missed)
	}
	return e.Kind.String()
}

// eventsKept is how many events a client remembers for those who read slowly.
const eventsKept = 256

// eventLog is the last events of a client. Only the client's actor uses it.
type eventLog struct {
	list    []Event
	first   uint64 // number of list[0]
	waiting []eventWaiter
}

type eventWaiter struct {
	to   *actor.PID
	from uint64
}

func (l *eventLog) next() uint64 { return l.first + uint64(len(l.list)) }

func (l *eventLog) add(e Event) {
	if len(l.list) >= eventsKept {
		l.list = append(l.list[:0], l.list[1:]...)
		l.first++
	}
	l.list = append(l.list, e)
}

// since returns the events with numbers from from.
func (l *eventLog) since(from uint64) []Event {
	if from < l.first {
		missed := Event{Kind: EventsMissed, Missed: l.first - from, At: l.list[0].At}
		return append([]Event{missed}, l.list...)
	}
	if from >= l.next() {
		return nil
	}
	return append([]Event(nil), l.list[from-l.first:]...)
}
