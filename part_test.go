package gamelan_test

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// shelf is the part of a program: an actor that counts and drains, a section, a verb, a warning.
type shelf struct {
	node    *gamelan.Node
	pid     *actor.PID
	drained chan struct{}
}

func (s *shelf) part(n *gamelan.Node) (gamelan.Part, error) {
	s.node = n
	return gamelan.Part{
		Name: "shelf",
		Actors: []supervisor.Spec{{
			Name: "keeper", Drains: true,
			New: func() actor.Actor { return &shelfKeeper{s: s} },
		}},
		Stages:   map[string]gamelan.Stage{"shelf/keeper": gamelan.StopProtocols},
		Sections: map[string]func(context.Context) any{"shelf": func(context.Context) any { return map[string]int{"books": 3} }},
		Verbs: map[string]map[string]inspect.Verb{"shelf": {"add": {
			Params: []string{"title"},
			Do: func(ctx context.Context, v url.Values, _ []byte) (any, error) {
				return supervisor.Ask[string](ctx, n.System(), s.pid, v.Get("title"))
			},
		}}},
		Degraded: func() models.Notices {
			return models.Notices{{Code: "shelf_full", Severity: models.Degraded, What: "the shelf is full"}}
		},
	}, nil
}

type shelfKeeper struct {
	clerk
	s *shelf
}

func (a *shelfKeeper) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.s.pid = c.Self()
	case string:
		c.Respond("added " + m)
	case supervisor.Drain:
		close(a.s.drained)
		supervisor.Reply(c, supervisor.Drained{From: c.Self()})
	default:
		a.clerk.Receive(c)
	}
}

// TestWithPart runs a part of a program: it is in the tree, the sections, the verbs and the health,
// and finishes its work at the stop.
func TestWithPart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		s := &shelf{drained: make(chan struct{})}
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithPart(s.part))
		i := n.Inspection()
		if v, err := i.Sections.Value(t.Context(), "shelf"); err != nil || v.(map[string]int)["books"] != 3 {
			t.Errorf("the section: got %v, %v", v, err)
		}
		if !slices.ContainsFunc(i.Tree().Snapshot(), func(i supervisor.Info) bool { return strings.HasSuffix(i.Path, "/node/shelf/keeper") }) {
			t.Error("got no actor of the part in the tree")
		}
		v, err := i.Verbs()["shelf"]["add"].Do(t.Context(), url.Values{"title": {"Emma"}}, nil)
		if err != nil || v != "added Emma" {
			t.Errorf("the verb: got %v, %v", v, err)
		}
		if list := i.Degraded(t.Context()); len(list) != 1 || list[0].Code != "shelf_full" {
			t.Errorf("the health: got %v", list)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		select {
		case <-s.drained:
		default:
			t.Error("the part's actor was not drained")
		}
	})
}

// TestBadParts gives what Start refuses.
func TestBadParts(t *testing.T) {
	part := func(p gamelan.Part, err error) gamelan.Option {
		return gamelan.WithPart(func(*gamelan.Node) (gamelan.Part, error) { return p, err })
	}
	section := map[string]func(context.Context) any{"peers": func(context.Context) any { return 1 }}
	none := func(context.Context) any { return 1 }
	for name, c := range map[string]struct {
		opt  gamelan.Option
		want string
	}{
		"none":            {gamelan.WithPart(nil), "no function"},
		"an error":        {part(gamelan.Part{Name: "mine"}, errors.New("no licence")), `part "mine": no licence`},
		"no name":         {part(gamelan.Part{}, nil), "used already, or empty"},
		"a bad name":      {part(gamelan.Part{Name: "My Part"}, nil), "1 to 50 characters"},
		"a long name":     {part(gamelan.Part{Name: strings.Repeat("x", 51)}, nil), "1 to 50 characters"},
		"a bad section":   {gamelan.WithSection("Guest Book/1", none), "1 to 50 characters"},
		"no New":          {part(gamelan.Part{Name: "mine", Actors: []supervisor.Spec{{Name: "one"}}}, nil), `the spec of "one" has no New`},
		"a taken name":    {part(gamelan.Part{Name: "saf"}, nil), `"saf": the name is used already`},
		"a taken section": {part(gamelan.Part{Name: "mine", Sections: section}, nil), `section "peers": the name is used already`},
		"twice":           {gamelan.Options(gamelan.WithSection("mine", none), gamelan.WithSection("mine", none)), "given twice"},
		"an own section":  {gamelan.WithSection("kad", none), `section "kad": the name is used already`},
		"no section":      {gamelan.WithSection("mine", nil), "no function"},
		"no check":        {gamelan.WithHealth(nil), "no function"},
		"no stop":         {gamelan.WithStop(nil), "no function"},
	} {
		n, err := gamelan.Start(t.Context(), gamelan.Config{}, c.opt)
		if err == nil {
			n.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestWithSectionAndHealth shows what a program says of itself without a part.
func TestWithSectionAndHealth(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var wrong error
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{},
			gamelan.WithSection("cache", func(context.Context) any { return 7 }),
			gamelan.WithHealth(func() error { return wrong }),
			gamelan.WithHealth(func() error {
				if wrong != nil {
					panic("no database")
				}
				return nil
			}))
		i := n.Inspection()
		if v, err := i.Sections.Value(t.Context(), "cache"); err != nil || v != 7 {
			t.Errorf("the section: got %v, %v", v, err)
		}
		if list := i.Degraded(t.Context()); len(list) != 0 {
			t.Errorf("the health: got %v, want nothing", list)
		}
		wrong = errors.New("the queue is long")
		if list := i.Degraded(t.Context()).Texts(); !slices.Equal(list, []string{"the queue is long", "panic: no database"}) {
			t.Errorf("the health: got %q", list)
		}
		wantSaid(t, n.Node, codes.Program)
	})
}

// TestWithStop sends messages while the node closes, from the functions that the program gave, the
// last one first.
func TestWithStop(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		w := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		other := w.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		says := func(text string) gamelan.Option {
			return gamelan.WithStop(func(ctx context.Context, n *gamelan.Node) error {
				o, err := n.Send(ctx, other.ID(), []byte(text))
				return cmp.Or(err, o.AsError())
			})
		}
		n := w.Start(gamelan.Config{}, says("second"), says("first"))
		if _, err := n.DialAt(t.Context(), other.Seed()); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait() // what is confirmed was read, and is about to be handled
		var texts []string
		for _, m := range heard.Messages() {
			texts = append(texts, string(m.Body))
		}
		if !slices.Equal(texts, []string{"first", "second"}) {
			t.Errorf("got %q", texts)
		}
	})
}

// TestWithStopFails has functions that fail and panic: the node is closed in order all the same.
func TestWithStopFails(t *testing.T) {
	n, err := gamelan.Start(t.Context(), gamelan.Config{},
		gamelan.WithStop(func(context.Context, *gamelan.Node) error { return errors.New("not saved") }),
		gamelan.WithStop(func(context.Context, *gamelan.Node) error { panic("oops") }))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "not saved") || !strings.Contains(err.Error(), "panic: oops") {
			t.Errorf("got %v, want the errors of both", err)
		}
	}
	if n.Err() != nil {
		t.Errorf("got %v, want a stop in order", n.Err())
	}
}

// TestWithStopTakesLong has a function that returns only with its ctx, and one that never does: the
// Close goes on after half of its time, and the node is closed in the other half.
func TestWithStopTakesLong(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithTransport(memory.NewNetwork().Transport()), gamelan.WithStop(func(ctx context.Context, _ *gamelan.Node) error {
			<-ctx.Done()
			<-never
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		began := time.Now()
		err = n.Close(ctx)
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("got a Close of %v, want about 2s", took)
		}
		if err == nil || !strings.Contains(err.Error(), "WithStop") {
			t.Errorf("got %v, want one that names WithStop", err)
		}
		select {
		case <-n.Done():
		default:
			t.Error("the node is not closed")
		}
	})
}
