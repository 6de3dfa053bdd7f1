package gamelantest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
)

// CrashPoint makes an actor or a function of yours panic at a chosen message, once. The
// panic comes in place of the work on that message. Its methods may be called from any
// goroutine.
type CrashPoint struct {
	value any
	at    func(msg any) bool
	hit   atomic.Bool
}

// CrashAt returns a CrashPoint that panics with value at the first message for which at
// returns true.
func CrashAt(value any, at func(msg any) bool) *CrashPoint { return &CrashPoint{value: value, at: at} }

// Hit reports whether it has panicked.
func (p *CrashPoint) Hit() bool { return p.hit.Load() }

// pass panics if this is the message.
func (p *CrashPoint) pass(msg any) {
	if !p.hit.Load() && p.at(msg) && p.hit.CompareAndSwap(false, true) {
		panic(p.value)
	}
}

// Actor returns an actor that panics at the chosen message, and otherwise is the one
// that new makes. System messages of the actor runtime count too. Pass it to
// [gamelan.WithHandler], [gamelan.WithActor] and the like.
func (p *CrashPoint) Actor(new gamelan.NewActor) gamelan.NewActor {
	return func(n *gamelan.Node) actor.Actor { return &crashing{p, new(n)} }
}

// Func returns a function for [gamelan.WithMessages] that panics at the chosen message,
// which is a [gamelan.Message], and otherwise calls f.
func (p *CrashPoint) Func(f func(context.Context, gamelan.Message) error) func(context.Context, gamelan.Message) error {
	return func(ctx context.Context, m gamelan.Message) error {
		p.pass(m)
		return f(ctx, m)
	}
}

// crashing is an actor with a CrashPoint.
type crashing struct {
	point *CrashPoint
	actor actor.Actor
}

func (a *crashing) Receive(c actor.Context) {
	a.point.pass(c.Message())
	a.actor.Receive(c)
}

// String is the line of the actor in the tree.
func (a *crashing) String() string {
	if s, ok := a.actor.(fmt.Stringer); ok {
		return s.String()
	}
	return ""
}

// Aftermath is what the user of a node sees after a crash.
type Aftermath struct {
	// Actor is the path of the actor that crashed, such as "extensions/handler".
	Actor string
	// Restarts is how often the actor was restarted since the node's start.
	Restarts uint64
	// Panic is part of the text of the actor's last panic.
	Panic string
	// Degraded is part of a reason why the node is degraded, as [models.Notice.String] says it.
	// Empty: the node is not degraded. A panic makes it degraded for ten minutes, with
	// "panicked" in the reason.
	Degraded string
	// Connected are peers that must be connected.
	Connected []identity.NodeID
}

// Sees waits until every actor of the node runs, as [Healed] does, and then compares what
// its user sees with want. It reports every difference.
func Sees(t testing.TB, n *gamelan.Node, want Aftermath) {
	t.Helper()
	Healed(t, n)
	found := false
	for _, info := range n.Inspection().Tree().Snapshot() {
		if !strings.HasSuffix(info.Path, "/"+want.Actor) {
			continue
		}
		found = true
		if info.Restarts != want.Restarts {
			t.Errorf("%s: got %d restarts, want %d", want.Actor, info.Restarts, want.Restarts)
		}
		last := "no panic"
		if info.LastFailure != nil {
			last = info.LastFailure.Error()
		}
		if !strings.Contains(last, want.Panic) {
			t.Errorf("%s: got %s, want %q", want.Actor, last, want.Panic)
		}
	}
	if !found {
		t.Errorf("got no actor %s", want.Actor)
	}
	reasons := strings.Join(n.Inspection().Degraded(t.Context()).Texts(), "; ")
	if want.Degraded == "" && reasons != "" || !strings.Contains(reasons, want.Degraded) {
		t.Errorf("got the node degraded because of %q, want %q", reasons, want.Degraded)
	}
	for _, peer := range want.Connected {
		if _, ok := n.Connection(peer); !ok {
			t.Errorf("got no connection to %s, want one", peer)
		}
	}
}
