package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Spec says how to spawn an actor.
//
//   - Name is unique among siblings, of [a-z0-9._-].
//   - Kind groups actors of one sort in figures and labels; empty means Name.
//   - New is called for every incarnation, in the actor's own turn just before
//     Started. It must not open anything.
//   - Children is the policy for all of this actor's own children.
//   - OnPanic says what a panic does to this actor itself, before its parent
//     decides.
//   - Alarm is the mailbox depth at which a warning is logged; 0 means
//     [DefaultAlarm].
//   - Drains says that the actor answers Drain itself. For an actor without it,
//     this package answers at once.
//   - Keeps says that messages that wait survive a restart of the parent, with which
//     the actor stops. The child of the same name that the parent spawns in its next
//     Started receives them first, and so do messages that are sent meanwhile. If there
//     is none, they are discarded.
type Spec struct {
	Name, Kind string
	New        func() actor.Actor
	Children   Policy
	OnPanic    OnPanic
	Alarm      int
	Drains     bool
	Keeps      bool
}

// DefaultAlarm is the mailbox depth at which a warning is logged when Spec.Alarm is
// zero.
const DefaultAlarm = 1024

// Policy says what happens to a failed child. Zero fields: Max 5, Within
// 1 min, Initial 250 ms, Ceiling 10 s, Retry never. A negative Max allows no
// restart at all.
type Policy struct {
	Action           Action
	Max              int           // restarts allowed
	Within           time.Duration // in this sliding window
	Initial, Ceiling time.Duration // the 1st restart waits nothing, the 2nd Initial, then doubling, jittered
	Retry            time.Duration // Isolate: RetryDue to the parent after this
}

// Action is the kind of a Policy.
type Action uint8

const (
	Restart   Action = iota // new incarnation, queue kept; budget spent: the parent fails with the same cause
	Temporary               // the child stops; the parent hears Terminated
	Isolate                 // as Restart; budget spent: the child stops and the parent hears ChildFailed
)

// stopTree is the action of top, the parent of every tree.
const stopTree Action = 255

// String returns restart, temporary or isolate.
func (a Action) String() string {
	switch a {
	case Restart:
		return "restart"
	case Temporary:
		return "temporary"
	case Isolate:
		return "isolate"
	case stopTree:
		return "stop"
	}
	return "unknown"
}

func (p Policy) withDefaults() Policy {
	if p.Max == 0 {
		p.Max = 5
	}
	if p.Within <= 0 {
		p.Within = time.Minute
	}
	if p.Initial <= 0 {
		p.Initial = 250 * time.Millisecond
	}
	if p.Ceiling <= 0 {
		p.Ceiling = 10 * time.Second
	}
	p.Ceiling = max(p.Ceiling, p.Initial)
	return p
}

// ValidName reports whether s may name an actor: characters of [a-z0-9._-], at
// least one, and neither "." nor "..".
func ValidName(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
