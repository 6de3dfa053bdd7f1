package supervisor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Chance decides between any two messages: of two to each of two actors every
// order comes about in which each actor hears its own in turn.
func TestSeededTakesOneMessageAtATime(t *testing.T) {
	orders := make(map[string]int)
	for seed := range uint64(40) {
		order := ""
		listener := func(name string) Spec {
			return Spec{Name: name, New: act(func(c actor.Context) {
				if m, ok := c.Message().(int); ok {
					order += fmt.Sprint(name, m)
				}
			})}
		}
		rt := NewSeeded(seed, time.Time{})
		sys := newSystem()
		r, err := Start(sys, "t", Spec{Name: "tree", New: Group(listener("a"), listener("b"))}, Options{Runtime: rt, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		rt.Run(rt.Now())
		for m := range 2 {
			sys.Root.Send(child(sys, r, "a"), m)
			sys.Root.Send(child(sys, r, "b"), m)
		}
		rt.Run(rt.Now())
		orders[order]++
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a0a1b0b1", "a0b0a1b1", "a0b0b1a1", "b0a0a1b1", "b0a0b1a1", "b0b1a0a1"} {
		if orders[want] == 0 {
			t.Errorf("no seed of 40 gave %s", want)
		}
	}
	if len(orders) != 6 {
		t.Errorf("got the orders %v, want six", orders)
	}
}

// history runs gossip among 40 actors that also fail, for 10 virtual minutes,
// and hashes every delivery with its time and receiver.
func history(t *testing.T, seed uint64) string {
	t.Helper()
	const n = 40
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := sha256.New()
	rt := NewSeeded(seed, begin)
	specs := make([]Spec, n)
	for i := range specs {
		specs[i] = Spec{Name: fmt.Sprintf("a%02d", i), New: act(func(c actor.Context) {
			say := func(f string, a ...any) {
				fmt.Fprintf(h, "%d %s ", Now(c).Sub(begin), c.Self().Id)
				fmt.Fprintf(h, f+"\n", a...)
			}
			switch m := c.Message().(type) {
			case *actor.Started:
				say("started")
				After(c, time.Duration(Rand(c).IntN(1000))*time.Millisecond, "tick")
			case string:
				say("%s", m)
				other := fmt.Sprintf("a%02d", Rand(c).IntN(n))
				var b [4]byte
				io.ReadFull(Rand(c), b[:])
				c.Send(c.ActorSystem().NewLocalPID("t/tree/"+other), b)
				After(c, time.Duration(1+Rand(c).IntN(20_000))*time.Millisecond, "tick")
			case [4]byte:
				say("%x", m)
				if m[0] == 0 && m[1] < 64 {
					panic(errBoom)
				}
				Do(c, int(m[2]), func(context.Context) (int, error) { return int(m[3]), nil })
			case Done[int]:
				say("done %v %v", m.Key, m.Value)
			}
		})}
	}
	sys := newSystem()
	r, err := Start(sys, "t", Spec{Name: "tree", New: Group(specs...)}, Options{Runtime: rt, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	real := time.Now()
	activations := rt.Run(begin.Add(10 * time.Minute))
	if activations < 1000 {
		t.Errorf("got %d activations, want thousands", activations)
	}
	if !rt.Now().Equal(begin.Add(10*time.Minute)) || time.Since(real) > 5*time.Minute {
		t.Errorf("the clock shows %v", rt.Now())
	}
	if err := r.Stop(t.Context(), nil); err != nil {
		t.Error(err)
	}
	fmt.Fprint(h, activations)
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func TestSeededOneSeedOneHistory(t *testing.T) {
	seen := make(map[string]uint64)
	for seed := range uint64(4) {
		first := history(t, seed)
		if second := history(t, seed); second != first {
			t.Errorf("seed %d: got %s and %s, want one history", seed, first, second)
		}
		if other, twice := seen[first]; twice {
			t.Errorf("seeds %d and %d have the same history", seed, other)
		}
		seen[first] = seed
	}
}

func TestSeededStopInspectAndGo(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rt := NewSeeded(1, begin)
	sys := newSystem()
	r, err := Start(sys, "t", Spec{Name: "tree", New: Group(
		Spec{Name: "x", New: func() actor.Actor { return &talker{} }},
		Spec{Name: "slow", Drains: true, New: act(func(c actor.Context) {})})},
		Options{Runtime: rt, Logger: quiet, Phases: []Phase{{Drain: []string{"slow"}}}})
	if err != nil {
		t.Fatal(err)
	}
	rt.Run(begin)
	sys.Root.Send(child(sys, r, "x"), 5)
	if d, err := r.Inspect(t.Context(), "t/tree/x"); err != nil || d.Line != "n=5" {
		t.Errorf("got %+v, %v, want n=5", d, err)
	}
	if err := r.Stop(t.Context(), errBoom); !errors.Is(err, errBoom) {
		t.Errorf("got %v, want the cause", err)
	}
	if got := rt.Now().Sub(begin); got != 7500*time.Millisecond {
		t.Errorf("the drain that never ends took %v, want 7.5s of 10s", got)
	}
	if safely(func() { rt.Task(true, nil) }) == nil {
		t.Error("Go under a Seeded runtime: got accepted")
	}
}

func TestSeededRandomIsByPathAndLife(t *testing.T) {
	rt := NewSeeded(7, time.Time{})
	draw := func(r *Random) uint64 { return r.Uint64() }
	a := draw(rt.Random("a", 1))
	if b := draw(NewSeeded(7, time.Time{}).Random("a", 1)); a != b {
		t.Error("one seed, path and incarnation: got two sequences")
	}
	if a == draw(rt.Random("b", 1)) || a == draw(rt.Random("a", 2)) || a == draw(NewSeeded(8, time.Time{}).Random("a", 1)) {
		t.Error("another path, incarnation or seed: got the same sequence")
	}
	var _ rand.Source = worldSource{}
}
