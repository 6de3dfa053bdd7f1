package requests

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestEachRequestEndsOnce sends random events, answers among them that fit in some respects
// only. Every request ends exactly once, only the answer that fits ends it as answered, the
// limits hold, and when the time has passed nothing is left. The same events have the same
// effects on a second machine.
//
// conforms: kad 30, 36
func TestEachRequestEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Max: rapid.IntRange(1, 8).Draw(t, "max"), MaxPerPeer: rapid.IntRange(1, 4).Draw(t, "per")}
		o.LoosePong = rapid.Bool().Draw(t, "loose")
		seed := rapid.Uint64().Draw(t, "seed")
		machine := func() *Machine {
			o.Rand = rand.New(rand.NewPCG(seed, 0))
			return New(o)
		}
		m, twin := machine(), machine()
		now := time.Unix(1_000_000, 0)
		open := map[Ref]Ask{}
		ids := map[Ref]overlay.RequestID{}
		per := map[overlay.Address]int{}
		ended := map[Ref]bool{}
		slow := map[Ref]bool{}
		var due time.Time
		step := func(e Event) {
			effects := m.Step(now, e)
			again := twin.Step(now, e)
			if len(effects) != len(again) {
				t.Fatalf("got %d effects, want the %d of the twin", len(again), len(effects))
			}
			end := func(ref Ref) {
				x, ok := open[ref]
				if !ok {
					t.Fatalf("request %d ended, and is not under way", ref)
				}
				delete(open, ref)
				ended[ref] = true
				if ids[ref] != (overlay.RequestID{}) {
					per[x.To]--
				}
			}
			for i, f := range effects {
				if f != again[i] {
					t.Fatalf("got %v, want the twin's %v", again[i], f)
				}
				switch f := f.(type) {
				case Send:
					x := open[f.Ref]
					if f.Copy == 0 {
						per[x.To]++
					} else if ids[f.Ref] != f.ID || !x.Resend || f.Left <= 0 || f.Copy > 2 {
						t.Fatalf("got %+v, want the same id again within the limit", f)
					}
					ids[f.Ref] = f.ID
				case Slow:
					if slow[f.Ref] {
						t.Fatalf("request %d is slow twice", f.Ref)
					}
					slow[f.Ref] = true
				case Answered:
					a, x := e.(Answer), open[f.Ref]
					if a.From != x.To || !x.Peer.IsZero() && a.Peer != x.Peer || !a.Verb.Answers(x.Verb) ||
						a.ID != ids[f.Ref] && (!o.LoosePong || a.Verb != overlay.Pong || f.Echoed) {
						t.Fatalf("answer %+v ended request %+v", a, x)
					}
					end(f.Ref)
				case Lost:
					end(f.Ref)
				case Wake:
					due = f.At
				}
			}
			if m.Len() != len(open) || m.Len() > o.Max {
				t.Fatalf("got %d requests under way, want the %d open ones, at most %d", m.Len(), len(open), o.Max)
			}
			for a, n := range per {
				if n > o.MaxPerPeer {
					t.Fatalf("got %d requests to %s, want at most %d", n, a, o.MaxPerPeer)
				}
			}
			if len(open) > 0 && due.Sub(now) > time.Hour {
				t.Fatalf("the next wake is at %v, long after now", due)
			}
		}
		var last Ref
		peer := func() overlay.ID { return overlay.ID{rapid.Byte().Draw(t, "peer")%3 + 1} }
		address := func() overlay.Address {
			return overlay.Address([]string{"/ip4/1.0.0.1/udp/1", "/ip4/1.0.0.2/udp/1"}[rapid.IntRange(0, 1).Draw(t, "address")])
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0, 1:
				last++
				e := Ask{
					Ref: last, Verb: overlay.Verb(rapid.IntRange(1, 4).Draw(t, "verb")), To: address(), Peer: peer(),
					Soft: time.Duration(rapid.IntRange(1, 500).Draw(t, "soft")) * time.Millisecond,
					Hard: time.Duration(rapid.IntRange(1, 2000).Draw(t, "hard")) * time.Millisecond, Resend: rapid.Bool().Draw(t, "resend"),
				}
				if rapid.Bool().Draw(t, "anybody") {
					e.Peer = overlay.ID{}
				}
				open[last] = e
				step(e)
			case 2, 3:
				e := Answer{From: address(), Peer: peer(), Verb: overlay.Verb(rapid.IntRange(5, 8).Draw(t, "verb"))}
				if last > 0 && rapid.Bool().Draw(t, "known") {
					e.ID = ids[Ref(rapid.IntRange(1, int(last)).Draw(t, "which"))]
				}
				step(e)
			case 4:
				step(Closed{address()})
			case 5:
				step(Due{})
			}
		}
		now = now.Add(time.Hour)
		step(Due{})
		if len(open) != 0 || len(ended) != int(last) {
			t.Fatalf("got %d requests open and %d ended, want none and %d", len(open), len(ended), last)
		}
	})
}
