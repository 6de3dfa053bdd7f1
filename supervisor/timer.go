package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Now reads the clock for measuring, which never steps: see [Runtime].
func Now(c actor.Context) time.Time { return of(c).cell.host.rt.Now() }

// Wall reads the system's clock, which may step at any moment: see [Runtime]. It is
// for times on the wire, on the disk and for people.
func Wall(c actor.Context) time.Time { return of(c).cell.host.rt.Wall() }

// At sends msg to c's own actor at t, a time of Now, unless the incarnation ends
// earlier.
func At(c actor.Context, t time.Time, msg any) *Timer { return of(c).after(t.Sub(Now(c)), 0, msg) }

// After sends msg to c's own actor after d, unless the incarnation ends earlier.
func After(c actor.Context, d time.Duration, msg any) *Timer { return of(c).after(d, 0, msg) }

// Every sends msg to c's own actor each d until the incarnation ends. It skips a
// tick while the last one still waits in the mailbox. d must be positive.
func Every(c actor.Context, d time.Duration, msg any) *Timer {
	if d <= 0 {
		panic("supervisor: Every with an interval that is not positive")
	}
	return of(c).after(d, d, msg)
}

// Timer is a timer of At, After or Every.
type Timer struct{ timer }

// Stop ends the timer. After Stop its message does not arrive, even if it waits in
// the mailbox already; a message that owns something is discarded. Call Stop in the
// actor's own turn.
func (t *Timer) Stop() { t.stop() }

// timer is guarded by its cell's mu.
type timer struct {
	stamped
	w       *wrapper
	every   time.Duration
	due     int64  // of a timer of Every; nanoseconds on the host's clock
	prev    *timer // in w.timers
	next    *timer
	cancel  func()
	fired   func() // t.fire as a value, made once
	linked  bool   // is in w.timers
	queued  bool   // waits in the mailbox
	stopped bool
}

func (w *wrapper) after(d, every time.Duration, msg any) *Timer {
	t := &Timer{timer{w: w, every: every}}
	t.gen, t.msg = w.gen, msg
	t.stamped.timer = &t.timer
	if w.over {
		t.stopped = true
		discard(msg)
		return t
	}
	d = max(d, 0)
	t.fired = t.fire
	c := w.cell
	if every > 0 {
		t.due = c.host.nanos() + int64(d)
	}
	c.mu.Lock()
	if t.next = w.timers; t.next != nil {
		t.next.prev = &t.timer
	}
	w.timers = &t.timer
	t.linked = true
	c.timers++
	t.cancel = c.host.rt.AfterFunc(d, t.fired)
	c.mu.Unlock()
	return t
}

// fire runs outside the actor's turn.
func (t *timer) fire() {
	c := t.w.cell
	c.mu.Lock()
	post := !t.stopped && !t.queued
	t.queued = t.queued || post
	if t.every > 0 && !t.stopped {
		now, every := c.host.nanos(), int64(t.every)
		if late := now - t.due; late >= 0 {
			t.due += late - late%every + every
		}
		t.cancel = c.host.rt.AfterFunc(time.Duration(t.due-now), t.fired)
	}
	c.mu.Unlock()
	if post {
		c.PostUserMessage(&t.stamped)
	}
}

// delivered notes that the message has reached the turn, and reports whether
// it is still wanted.
func (t *timer) delivered() bool {
	c := t.w.cell
	c.mu.Lock()
	defer c.mu.Unlock()
	t.queued = false
	if t.stopped {
		return false
	}
	if t.every == 0 {
		t.stopped = true
		t.unlink()
	}
	return true
}

// unlink takes the timer off its incarnation's list; mu is held.
func (t *timer) unlink() {
	if !t.linked {
		return
	}
	t.linked = false
	t.w.cell.timers--
	switch {
	case t.prev != nil:
		t.prev.next = t.next
	case t.w.timers == t:
		t.w.timers = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

func (t *timer) stop() {
	if t.w == nil {
		return
	}
	c := t.w.cell
	c.mu.Lock()
	t.unlink()
	c.mu.Unlock()
	t.halt()
}

// halt makes sure that the message does not arrive any more.
func (t *timer) halt() {
	c := t.w.cell
	c.mu.Lock()
	if t.stopped {
		c.mu.Unlock()
		return
	}
	t.stopped = true
	cancel := t.cancel
	c.mu.Unlock()
	cancel()
	discard(t.msg)
}
