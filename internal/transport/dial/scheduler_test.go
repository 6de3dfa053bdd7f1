package dial

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

var errUnreachable = errors.New("unreachable")

func TestBackoff(t *testing.T) {
	b := Backoff{Initial: 500 * time.Millisecond, Ceiling: 3 * time.Second}
	for n, want := range []time.Duration{1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 4: 3 * time.Second, 100: 3 * time.Second} {
		if want != 0 && b.after(n) != want {
			t.Errorf("got %v after failure %d, want %v", b.after(n), n, want)
		}
	}
	if got := (Backoff{Initial: time.Minute, Ceiling: time.Second}).after(1); got != time.Second {
		t.Errorf("got %v, want the ceiling", got)
	}
}

// conforms: V 9
func TestBusyPausesAreSpread(t *testing.T) {
	now := time.Unix(0, 0)
	peer := identity.NodeID{1}
	short, long := time.Hour, time.Duration(0)
	for seed := range uint64(200) {
		s := New(Options{Random: rand.New(rand.NewPCG(seed, 0)), Busy: Backoff{Initial: 10 * time.Second, Ceiling: time.Minute}})
		s.Step(now, Wanted{Peer: peer})
		s.Step(now, Dialled{Peer: peer, Err: errUnreachable, Class: Busy})
		got := s.Step(now, Wanted{Peer: peer, Automatic: true})
		wake, ok := got[0].(Wake)
		if len(got) != 1 || !ok {
			t.Fatalf("got %v, want no attempt at once", got)
		}
		d := wake.At.Sub(now)
		short, long = min(short, d), max(long, d)
	}
	if short < 5*time.Second || short > 6*time.Second || long < 9*time.Second || long > 10*time.Second {
		t.Errorf("got pauses of %v to %v, want them spread over 5 s to 10 s", short, long)
	}
}

func TestBusyPeersAreBounded(t *testing.T) {
	b := newBusyPeers()
	for i := range 3 * maxBusy {
		peer := identity.NodeID{byte(i), byte(i >> 8), byte(i >> 16)}
		b.count(time.Unix(0, 0), peer, time.Minute)
		b.forget(peer)
		b.count(time.Unix(0, 0), peer, time.Minute)
	}
	if b.peers.Len() != maxBusy {
		t.Errorf("got %d peers remembered, want %d", b.peers.Len(), maxBusy)
	}
	peer := identity.NodeID{0xff, 0xff, 0xff}
	for want := 1; want < 4; want++ {
		if got := b.count(time.Unix(0, 0), peer, time.Minute); got != want {
			t.Errorf("got %d times in a row, want %d", got, want)
		}
		b.hold(peer, time.Unix(0, 0))
	}
	if got := b.count(time.Unix(120, 0), peer, time.Minute); got != 4 {
		t.Errorf("got %d times in a row after just twice the longest wait, want 4", got)
	}
	if got := b.count(time.Unix(121, 0), peer, time.Minute); got != 1 {
		t.Errorf("got %d times in a row long after, want 1", got)
	}
}

// Wishes that wait for their turn and are cancelled again leave nothing behind,
// however many there are.
func TestCancelledWishesLeaveTheQueue(t *testing.T) {
	now := time.Unix(0, 0)
	s := New(Options{InFlight: 1, Queue: 10})
	s.Step(now, Wanted{Peer: identity.NodeID{1}, Automatic: true}) // has the only place
	s.Step(now, Wanted{Peer: identity.NodeID{3}, Automatic: true}) // waits for it all the time
	for i := range 10_000 {
		peer := identity.NodeID{2, byte(i), byte(i >> 8)}
		s.Step(now, Wanted{Peer: peer, Automatic: true})
		s.Step(now, Cancelled{Peer: peer})
		if n := len(s.queue); n > 22 {
			t.Fatalf("after %d wishes that were cancelled: got %d in a queue for 10, want at most twice as many and one", i+1, n)
		}
	}
	if s.Len() != 2 || s.queued != 1 {
		t.Errorf("got %d wishes and %d in line, want the one that is dialled and the one that waits", s.Len(), s.queued)
	}
}

// world carries out effects badly: dials end late, in any order, with any
// result, sometimes after they were cancelled.
type world struct {
	t       *testing.T
	r       *rand.Rand
	s       *Scheduler
	now     time.Time
	running map[identity.NodeID]bool // an attempt runs
	waiting map[identity.NodeID]int  // wishes that nobody has answered
	wakes   []time.Time
	log     strings.Builder
}

func (w *world) step(e Event) {
	if want, ok := e.(Wanted); ok {
		w.waiting[want.Peer]++
	}
	if d, ok := e.(Dialled); ok {
		delete(w.running, d.Peer)
	}
	for _, f := range w.s.Step(w.now, e) {
		fmt.Fprintf(&w.log, "%T%v", f, f)
		switch f := f.(type) {
		case Attempt:
			if _, ok := w.running[f.Peer]; ok {
				w.t.Fatalf("got a second dial of %v, want one at a time", f.Peer[0])
			}
			if w.waiting[f.Peer] == 0 {
				w.t.Fatalf("got a dial of %v, want none: nobody wants it", f.Peer[0])
			}
			w.running[f.Peer] = true
		case Cancel:
			if _, ok := w.running[f.Peer]; !ok {
				w.t.Fatalf("got a cancellation of %v, want none: it is not dialled", f.Peer[0])
			}
		case Settled:
			if w.waiting[f.Peer] == 0 {
				w.t.Fatalf("got %v settled, want nothing: nobody waits", f.Peer[0])
			}
			delete(w.waiting, f.Peer)
		case Wake:
			if f.At.Before(w.now) {
				w.t.Fatalf("got a Wake in the past, want one at or after now")
			}
			w.wakes = append(w.wakes, f.At)
		}
	}
	automatic := 0
	for _, wish := range w.s.Wishes() {
		if w.s.wishes[wish.Peer].slot {
			if _, ok := w.running[wish.Peer]; !ok {
				w.t.Fatalf("got a share held for %v, want none: it is not dialled", wish.Peer[0])
			}
			automatic++
		}
		if wish.Wanted && w.waiting[wish.Peer] == 0 {
			w.t.Fatalf("got a wish for %v on the books, want none: nobody waits", wish.Peer[0])
		}
		if !wish.Due.IsZero() && !w.wokenBy(wish.Due) {
			w.t.Fatalf("got no Wake for what is due at %v, want one", wish.Due)
		}
	}
	if automatic > w.s.o.InFlight || automatic != w.s.slots {
		w.t.Fatalf("got %d automatic dials at once, %d counted, want both equal and at most %d", automatic, w.s.slots, w.s.o.InFlight)
	}
}

func (w *world) wokenBy(due time.Time) bool {
	for _, at := range w.wakes {
		if !at.After(due) {
			return true
		}
	}
	return false
}

// pass moves the clock to the first Wake, or a little.
func (w *world) pass() {
	first := -1
	for i, at := range w.wakes {
		if first < 0 || at.Before(w.wakes[first]) {
			first = i
		}
	}
	if first < 0 {
		w.now = w.now.Add(time.Second)
		return
	}
	if at := w.wakes[first]; at.After(w.now) {
		w.now = at
	}
	w.wakes = append(w.wakes[:first], w.wakes[first+1:]...)
	w.step(Due{})
}

// end ends one running dial.
func (w *world) end(peer identity.NodeID) {
	d := Dialled{Peer: peer, Class: Class(w.r.IntN(3))}
	if w.r.IntN(2) == 0 {
		d.Err = errUnreachable
	}
	w.step(d)
}

// conforms: comms 113
func TestEveryWishIsSettledOnce(t *testing.T) {
	for seed := range uint64(40) {
		run := func() string {
			r := rand.New(rand.NewPCG(seed, 7))
			w := &world{t: t, r: r, now: time.Unix(0, 0), running: make(map[identity.NodeID]bool), waiting: make(map[identity.NodeID]int)}
			w.s = New(Options{InFlight: 3, Queue: 4, Random: rand.New(rand.NewPCG(seed, 8))})
			for range 400 {
				peer := identity.NodeID{'A' + byte(r.IntN(12))}
				switch r.IntN(8) {
				case 0, 1, 2:
					w.step(Wanted{Peer: peer, Automatic: r.IntN(3) > 0, Attempts: r.IntN(4)})
				case 3, 4:
					if _, ok := w.running[peer]; ok {
						w.end(peer)
					}
				case 5:
					w.step([]Event{Connected{peer}, Cancelled{peer}, Refused{peer, errUnreachable}, Eased{peer}}[r.IntN(4)])
				default:
					w.pass()
				}
			}
			for n := 0; len(w.waiting) > 0; n++ { // now everything comes to its end
				if n > 1000 {
					t.Fatalf("seed %d: got %v still waiting, want everybody answered:\n%+v", seed, w.waiting, w.s.Wishes())
				}
				for c := byte('A'); c < 'A'+12; c++ {
					if _, ok := w.running[identity.NodeID{c}]; ok {
						w.end(identity.NodeID{c})
					}
				}
				w.pass()
			}
			return w.log.String()
		}
		if a, b := run(), run(); a != b {
			t.Fatalf("seed %d: got two histories of the same events, want one", seed)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	s := New(Options{})
	now := time.Unix(0, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		peer := identity.NodeID{byte(i), byte(i >> 8)}
		s.Step(now, Wanted{Peer: peer})
		s.Step(now, Dialled{Peer: peer})
		s.Step(now, Connected{Peer: peer})
	}
}
