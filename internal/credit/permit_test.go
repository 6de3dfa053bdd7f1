package credit

import (
	"sync"
	"testing"
)

// permit returns the permit of a message of n bytes, passed on, and its account.
func permit(t *testing.T, n int) (*Permit, *Account) {
	t.Helper()
	a := NewBudget(1 << 20).Account(1 << 20)
	if !a.TryTake(n) {
		t.Fatal("got no credit")
	}
	p := new(Permit)
	p.Init(a, n)
	p.Pass()
	return p, a
}

// Whatever the old owner does after it handed its credit over, the new owner has it.
func TestHandOver(t *testing.T) {
	for name, late := range map[string]func(*Permit, func()){
		"nothing": func(*Permit, func()) {},
		"finish":  func(p *Permit, _ func()) { p.FinishPassed() },
		"discard": func(p *Permit, _ func()) { p.Discard() },
		"release": func(_ *Permit, release func()) { release() },
		"take":    func(p *Permit, _ func()) { p.TakePassed() },
	} {
		p, a := permit(t, 100)
		q := p.HandOver()
		late(p, p.KeepPassed())
		if p.Held() || !q.Held() || a.Used() != Cost(100) {
			t.Errorf("%s: got %d bytes held, by the old owner: %v, by the new: %v", name, a.Used(), p.Held(), q.Held())
		}
		if !q.FinishPassed() || a.Used() != 0 {
			t.Errorf("%s: got %d bytes held after the new owner has finished", name, a.Used())
		}
		if q.FinishPassed() {
			t.Errorf("%s: the credit went back twice", name)
		}
	}
}

// A permit that was given back has nothing to hand over.
func TestHandOverOfNothing(t *testing.T) {
	p, a := permit(t, 100)
	p.Discard()
	if q := p.HandOver(); q.Held() || q.TakePassed() || q.FinishPassed() {
		t.Error("got credit that went back before")
	}
	for _, q := range p.Split(1, 2) {
		if q.Held() || q.FinishPassed() {
			t.Error("got a part of credit that went back before")
		}
	}
	wantUsed(t, "account", a.Used(), 0)
	var none *Permit
	if none.HandOver() != nil || len(none.Split(1, 2)) != 2 || !none.Held() {
		t.Error("the permit of a message without credit changed")
	}
}

// The end of the message may come at any time while its credit is handed over. The race
// detector watches.
func TestHandOverRaces(t *testing.T) {
	for range 1000 {
		p, a := permit(t, 100)
		q := make(chan *Permit)
		var all sync.WaitGroup
		all.Go(func() { q <- p.HandOver() })
		all.Go(func() { p.FinishPassed() })
		all.Go(func() { // the new owner passes it on to one who takes it and ends later
			if q := <-q; q.TakePassed() {
				if a.Used() != Cost(100) {
					t.Error("the new owner has credit that went back")
				}
				q.Discard()
			}
		})
		all.Wait()
		if a.Used() != 0 {
			t.Fatalf("got %d bytes held", a.Used())
		}
	}
}

// holder counts what it is told.
type holder struct{ finished int64 }

func (h *holder) Finish(cost int64) { h.finished += cost }

// The parts of a message give back the whole when the last of them has ended, and each
// tells its own holder of its part.
func TestSplit(t *testing.T) {
	p, a := permit(t, 1000)
	all := p.Split(600, 300)
	p.FinishPassed() // the old owner ends
	first := new(holder)
	all[0].HeldBy(first)
	if all[0].Len() != 600 || all[1].Cost() != Cost(300) {
		t.Errorf("got parts of %d and %d bytes", all[0].Len(), all[1].Len())
	}
	all[0].Discard()
	all[0].Discard()
	if first.finished != Cost(600) || a.Used() != Cost(1000) {
		t.Errorf("after the first part: got %d bytes told and %d held", first.finished, a.Used())
	}
	last := all[1].HandOver()
	all[1].Discard()
	wantUsed(t, "handed over", a.Used(), Cost(1000))
	last.FinishPassed()
	wantUsed(t, "after the last part", a.Used(), 0)

	p, a = permit(t, 10)
	if got := p.Split(); len(got) != 0 || a.Used() != 0 {
		t.Errorf("without parts: got %d parts and %d bytes held", len(got), a.Used())
	}
}
