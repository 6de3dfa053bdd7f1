package mux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// play drives an inflow and a model of it. The bytes that come are numbered, so that one that is
// lost, doubled or out of order is seen.
type play struct {
	t *testing.T
	f inflow

	// The model.
	came, read byte // the number of the next byte to come, and to be read
	avail      int
	end        error
	passed     bool // the deadline
	closed     bool
	credit     uint64 // given

	waiting int // the length of the buffer of a Read that waits; 0: none
	result  chan result
}

type result struct {
	p   []byte
	due uint32
	err error
}

const playWindow = 4000

func newPlay(t *testing.T) *play {
	p := &play{t: t, result: make(chan result, 1)}
	p.f.ready, p.f.window, p.f.promised = newWaker(), playWindow, playWindow
	return p
}

// frame has a frame with n bytes come.
func (p *play) frame(n int) {
	credit := uint64(playWindow) + p.credit - p.f.sent
	if ok := p.f.announced(uint32(n)); ok != (uint64(n) <= credit) {
		p.t.Fatalf("got %d bytes allowed %v with credit for %d", n, ok, credit)
	} else if !ok {
		p.f.sent -= uint64(n) // the connection would end
		return
	}
	body := make([]byte, n)
	for i := range body {
		body[i] = p.came
		p.came++
	}
	from := bytes.NewReader(body)
	for from.Len() > 0 {
		_, due, _, err := p.f.fill(from, from.Len())
		if err != nil {
			p.t.Fatal(err)
		}
		p.credit += uint64(due)
	}
	switch {
	case p.closed:
		p.read = p.came
	case p.end == nil:
		p.avail += n
	}
}

// start has a Read begin, unless one waits.
func (p *play) start(n int) {
	if p.waiting > 0 {
		return
	}
	p.waiting = n
	go func() {
		b := make([]byte, n)
		n, due, err := p.f.read(&Stream{session: &Session{lead: newLead()}}, b)
		p.result <- result{b[:n], due, err}
	}()
}

// try is TryRead, which goes on only while no Read does.
func (p *play) try(n int) {
	if p.waiting > 0 || p.avail > n {
		return
	}
	b := make([]byte, n)
	p.f.mu.Lock()
	n, due := p.f.take(b)
	p.f.mu.Unlock()
	p.take(result{b[:n], due, nil}, p.avail)
}

// take compares what was read.
func (p *play) take(r result, want int) {
	p.credit += uint64(r.due)
	if len(r.p) != want {
		p.t.Fatalf("got %d bytes, %v, want %d", len(r.p), r.err, want)
	}
	for _, b := range r.p {
		if b != p.read {
			p.t.Fatalf("got byte %d, want %d", b, p.read)
		}
		p.read++
	}
	p.avail -= want
}

// settled compares a Read that has returned, or has not, with the model, and the accounts.
func (p *play) settled() {
	synctest.Wait()
	if p.waiting > 0 {
		err, n := error(nil), min(p.waiting, p.avail)
		switch {
		case n > 0:
		case p.end != nil:
			err = p.end
		case p.passed:
			err = os.ErrDeadlineExceeded
		default:
			n = -1
		}
		select {
		case r := <-p.result:
			if n < 0 {
				p.t.Fatalf("got %d bytes, %v, want a Read that waits", len(r.p), r.err)
			}
			p.waiting = 0
			p.take(r, n)
			if r.err != err {
				p.t.Fatalf("got %v, want %v", r.err, err)
			}
		default:
			if n >= 0 {
				p.t.Fatalf("got a Read that waits, want %d bytes, %v", n, err)
			}
		}
	}
	f := &p.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unread != p.avail || f.sent-f.taken != uint64(p.avail) {
		p.t.Fatalf("got %d bytes unread, %d of %d taken, want %d unread", f.unread, f.taken, f.sent, p.avail)
	}
	if f.promised != playWindow+p.credit || f.promised-f.taken > playWindow {
		p.t.Fatalf("got %d promised with %d taken, want %d and at most a window more than was taken", f.promised, f.taken, playWindow+p.credit)
	}
	if withheld := f.taken + f.window - f.promised; withheld >= f.window/4 && (p.end == nil || p.closed) {
		p.t.Fatalf("got credit for %d withheld, want it given", withheld)
	}
	if f.unread == 0 && f.kept.head != nil {
		p.t.Fatal("got a segment kept for nothing")
	}
	for s := f.kept.head; s != nil; s = s.next {
		if s.next != nil && s.end < len(s.b) {
			p.t.Fatal("got room in a segment that is not the last one")
		}
	}
}

// finish is the end that the peer or the connection makes.
func (p *play) finish(err error) {
	p.f.finish(err)
	if p.end == nil {
		p.end = err
	}
}

// inflowSteps are everything that happens to an inflow.
var inflowSteps = map[byte]func(p *play){
	'f': func(p *play) { p.frame(2) },
	'F': func(p *play) { p.frame(1500) },
	'r': func(p *play) { p.start(3) },
	'R': func(p *play) { p.start(2000) },
	't': func(p *play) { p.try(1000) },
	'd': func(p *play) { p.f.setDeadline(time.Now()); p.passed = true },
	'n': func(p *play) { p.f.setDeadline(time.Time{}); p.passed = false },
	'h': func(p *play) { p.f.setDeadline(time.Now().Add(1000 * time.Hour)); p.passed = false },
	'l': func(p *play) { // soon
		p.f.setDeadline(time.Now().Add(time.Second))
		p.settledBefore()
		time.Sleep(time.Second)
		p.passed = true
	},
	'e': func(p *play) { p.finish(io.EOF) },
	'x': func(p *play) { p.finish(ErrResetByPeer) },
	'c': func(p *play) {
		p.credit += uint64(p.f.close(ErrClosed))
		p.closed, p.end, p.avail, p.read = true, ErrClosed, 0, p.came
	},
}

// settledBefore checks the state with a deadline that has not passed yet.
func (p *play) settledBefore() {
	p.passed = false
	p.settled()
}

// TestInflowOrders plays every order of frames, reads, deadlines, ends and closes up to a length,
// each step when all is at rest, and many longer ones.
func TestInflowOrders(t *testing.T) {
	var all []byte
	for step := range inflowSteps {
		all = append(all, step)
	}
	one := func(t *testing.T, steps string) {
		p := newPlay(t)
		defer func() {
			if t.Failed() {
				t.Logf("order %q", steps)
			}
		}()
		for i := range len(steps) {
			inflowSteps[steps[i]](p)
			p.settled()
		}
		inflowSteps['c'](p) // ends a Read that waits
		p.settled()
	}
	long := 4
	if os.Getenv("GAMELAN_LONG") != "" {
		long = 5
	}
	synctest.Test(t, func(t *testing.T) {
		for length := 1; length <= long; length++ {
			var orders func(prefix string)
			orders = func(prefix string) {
				if len(prefix) == length {
					one(t, prefix)
					return
				}
				for _, step := range all {
					orders(prefix + string(step))
				}
			}
			orders("")
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			steps := make([]byte, 60)
			for i := range steps {
				if steps[i] = all[rnd.IntN(len(all))]; i < 50 && (steps[i] == 'c' || steps[i] == 'e' || steps[i] == 'x') {
					steps[i] = "fFrRt"[rnd.IntN(5)] // few have an end so early
				}
			}
			one(t, string(steps))
		}
	})
}

// TestInflowAtOnce has frames, reads, deadlines and the end at the same time. All that came is
// read once, in order, before the end.
func TestInflowAtOnce(t *testing.T) {
	const frames = 2000
	for seed := range uint64(20) {
		var f inflow
		f.ready, f.window, f.promised = newWaker(), minWindow, initialWindow
		var wg sync.WaitGroup
		wg.Go(func() {
			rnd, next := rand.New(rand.NewPCG(seed, 1)), byte(0)
			for range frames {
				body := make([]byte, 1+rnd.IntN(40)*rnd.IntN(40))
				for i := range body {
					body[i] = next
					next++
				}
				for from := bytes.NewReader(body); from.Len() > 0; {
					if _, _, _, err := f.fill(from, from.Len()); err != nil {
						panic(err)
					}
				}
				if rnd.IntN(8) == 0 {
					time.Sleep(time.Microsecond)
				}
			}
			f.finish(io.EOF)
			f.finish(errors.New("a second end"))
		})
		done := make(chan struct{})
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f.setDeadline(time.Now())
					f.setDeadline(time.Now().Add(10 * time.Microsecond))
					f.setDeadline(time.Time{})
				}
			}
		})
		rnd, next := rand.New(rand.NewPCG(seed, 2)), byte(0)
		err := func() error {
			for {
				b := make([]byte, 1+rnd.IntN(2000))
				n, _, err := f.read(&Stream{session: &Session{lead: newLead()}}, b)
				for _, c := range b[:n] {
					if c != next {
						return fmt.Errorf("got byte %d, want %d", c, next)
					}
					next++
				}
				if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					return err
				}
			}
		}()
		close(done)
		wg.Wait()
		if err != io.EOF {
			t.Fatalf("seed %d: %v, want the end", seed, err)
		}
		if f.unread != 0 || f.kept.head != nil {
			t.Fatalf("seed %d: got %d bytes unread after the end", seed, f.unread)
		}
	}
}
