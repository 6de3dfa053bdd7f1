// Package taps shows what passes through a node to those who look, for as long as they look. While
// nobody does, it costs one read of a number.
package taps

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Event is something that has happened with a message or a peer.
type Event struct {
	At   time.Time
	What string          // such as "queued", "received", "judged"
	Kind string          // of message: the id of its protocol; "": it is about the peer
	Peer identity.NodeID // with whom
	Tag  uint64          // of a message of the DHT; 0: it has none
	ID   uint64          // of a message among those of its sender; 0: none
	Size int             // of the body in bytes
	Note string          // an outcome, a verdict, a cause

	Handled *Handled // nil: it is not about an actor's message
	Last    bool     // none of its kind follows; it is kept also for those who read slowly
}

// Handled is a message that a traced actor has handled.
type Handled struct {
	supervisor.Traced
	Actor string // its path
	By    any    // whoever traces it, as a pointer
}

// Taps gives events to those who look. The zero Taps is ready.
type Taps struct {
	open atomic.Int32
	mu   sync.Mutex
	taps map[*tap]struct{}
}

// MostTaps is how many may look at a time.
const MostTaps = 8

// waiting is how many events wait for somebody who reads slowly. More are counted and lost.
const waiting = 1024

type tap struct {
	want  func(*Event) bool
	queue []Event
	lost  uint64
	bell  turns.Bell
}

// Open reports whether somebody looks, so that an event is worth its making.
func (t *Taps) Open() bool { return t.open.Load() > 0 }

// Number returns how many look.
func (t *Taps) Number() int { return int(t.open.Load()) }

// Put gives an event to those who want it. It never waits.
func (t *Taps) Put(e Event) {
	if !t.Open() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.taps {
		switch {
		case !p.want(&e):
		case len(p.queue) >= waiting && !e.Last:
			p.lost++
		default:
			p.queue = append(p.queue, e)
			p.bell.Ring()
		}
	}
}

// Look yields the events that want accepts, until ctx ends or the loop does, and how many were lost
// before each. If ctx ends before all were seen, the zero Event comes last, with how many were not. want is called by whoever puts an event, one call at a time; it must not wait. ok is false if
// MostTaps look already.
func (t *Taps) Look(ctx context.Context, want func(*Event) bool) (all iter.Seq2[Event, uint64], ok bool) {
	p := &tap{want: want, bell: turns.NewBell()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.taps) >= MostTaps {
		return nil, false
	}
	if t.taps == nil {
		t.taps = make(map[*tap]struct{})
	}
	t.taps[p] = struct{}{}
	t.open.Add(1)
	return func(yield func(Event, uint64) bool) {
		defer t.close(p)
		for ctx.Err() == nil {
			list, lost := t.take(p)
			for i, e := range list {
				if ctx.Err() != nil {
					t.unseen(p, lost+uint64(len(list)-i))
					break
				}
				if !yield(e, lost) {
					return
				}
				lost = 0
			}
			if len(list) == 0 {
				p.bell.Await(ctx)
			}
		}
		if list, lost := t.take(p); len(list) > 0 || lost > 0 {
			yield(Event{}, lost+uint64(len(list)))
		}
	}, true
}

func (t *Taps) take(p *tap) (list []Event, lost uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list, lost = p.queue, p.lost
	p.queue, p.lost = nil, 0
	return list, lost
}

// unseen counts events that were taken and not yielded.
func (t *Taps) unseen(p *tap, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.lost += n
}

func (t *Taps) close(p *tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.taps, p)
	t.open.Add(-1)
}
