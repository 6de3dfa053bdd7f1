package inspect

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// talker answers for itself, spawns a child of its own without the supervisor,
// panics when told to and blocks on a channel that it is sent.
type talker struct{ heard int }

func (t *talker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		c.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "stranger")
	case string:
		t.heard++
	case doPanic:
		panic("asked to")
	case chan struct{}:
		<-m
	}
}

type doPanic struct{}

func (t *talker) String() string { return fmt.Sprintf("heard %d", t.heard) }
func (t *talker) Inspect() any   { return map[string]int{"heard": t.heard} }

func startTalkers(t *testing.T) (*actor.ActorSystem, *supervisor.Root, Source) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	root, err := supervisor.Start(sys, "test", supervisor.Spec{
		Name: "node", Kind: "group",
		New: supervisor.Group(
			supervisor.Spec{Name: "a", Kind: "talker", New: func() actor.Actor { return &talker{} }},
			supervisor.Spec{Name: "b", Kind: "talker", New: func() actor.Actor { return &talker{} }},
		),
	}, supervisor.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Stop(context.Background(), nil); sys.Shutdown() })
	src := FromRoot(root, sys)
	eventually(t, "the tree", func() bool { return len(src.Actors()) == 6 })
	return sys, root, src
}

// eventually waits for what another goroutine will bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come within a minute", what)
		}
	}
}

func TestRunningTreeIsShown(t *testing.T) {
	sys, _, src := startTalkers(t)
	h := Handler(Options{Source: src})
	b := sys.NewLocalPID("test/node/b")
	for range 3 {
		sys.Root.Send(b, "hello")
	}
	eventually(t, "three messages", func() bool {
		return getJSON[Actor](t, h, "/v1/actors/node/b").Line == "heard 3"
	})
	a := getJSON[Actor](t, h, "/v1/actors/test/node/b")
	if a.Kind != "talker" || a.Type != "*inspect.talker" || a.Parent != "test/node" || a.Policy != "restart" || a.Incarnation != 1 || a.Processed < 3 || a.StartedAt.IsZero() {
		t.Errorf("got %+v", a)
	}
	var text string
	eventually(t, "the line of b, which is left out if b gets no turn in time", func() bool {
		_, text = get(t, h, "/v1/tree?format=text")
		return strings.Contains(text, "heard 3")
	})
	for _, want := range []string{"test ", "└─ node ", "   ├─ a ", "   │  └─ stranger  ○ unsupervised"} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%swant %q in it", text, want)
		}
	}
}

func TestStuckActorIsAnsweredForAndItsStackShown(t *testing.T) {
	sys, _, src := startTalkers(t)
	h := Handler(Options{Source: src})
	block := make(chan struct{})
	defer close(block)
	sys.Root.Send(sys.NewLocalPID("test/node/a"), block)
	eventually(t, "a busy actor", func() bool {
		s := newSnapshot(src.Actors())
		i, _ := s.find("node/a")
		return s.actors[i].State == Busy && s.actors[i].Current != nil
	})
	a := getJSON[Actor](t, h, "/v1/actors/node/a")
	if !a.DetailTimeout || a.Current == nil || a.Current.MessageType != "chan struct {}" {
		t.Errorf("got %+v, current %+v, want a timeout and the message in hand", a, a.Current)
	}
	s := getJSON[Stacks](t, h, "/v1/actors/node/a/stacks")
	if len(s.Goroutines) != 1 || !strings.Contains(strings.Join(s.Goroutines[0].Stack, "\n"), "(*talker).Receive") {
		t.Errorf("got %+v, want the goroutine that is in Receive", s.Goroutines)
	}
}

func TestFailureIsShownWithItsStack(t *testing.T) {
	sys, _, src := startTalkers(t)
	h := Handler(Options{Source: src})
	sys.Root.Send(sys.NewLocalPID("test/node/a"), doPanic{})
	eventually(t, "a restart", func() bool { return getJSON[Actor](t, h, "/v1/actors/node/a").Restarts == 1 })
	p := getJSON[page[Failure]](t, h, "/v1/failures")
	if len(p.Items) != 1 || p.Items[0].Actor != "test/node/a" || p.Items[0].Reason != "asked to" || p.Items[0].MessageType != "inspect.doPanic" {
		t.Fatalf("got %+v", p.Items)
	}
	s := getJSON[Stacks](t, h, "/v1/actors/node/a/stacks")
	if s.LastFailure == nil || s.LastFailure.StackID != p.Items[0].StackID || !strings.Contains(strings.Join(s.LastFailure.Stack, "\n"), "(*talker).Receive") {
		t.Errorf("got %+v, want the stack of the panic", s.LastFailure)
	}
}
