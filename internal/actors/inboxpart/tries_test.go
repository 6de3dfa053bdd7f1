package inboxpart

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
)

// attempts returns how often a listener gets each of the first n messages, which it does not acknowledge.
func attempts(t *testing.T, b *Inbox, n int) (all []int) {
	t.Helper()
	for m, err := range b.Listen(t.Context(), actors.ListenOptions{Most: n, Wait: true}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Attempt)
		if len(all) == n {
			break
		}
	}
	return all
}

// TestAttemptsOverKills: what was handed out before a kill is handed out with one attempt more, and the rest with the
// first one.
func TestAttemptsOverKills(t *testing.T) {
	d := newFaultyDisk()
	limits := Limits{Bytes: 1 << 20, Messages: 1000, Attempts: 5}
	b, send, _ := startKeeper(t, d, limits)
	for i := range 10 {
		send(actors.Received{Body: fmt.Append(nil, i)})
	}
	waitUntil(t, b, "all are on the disk", func(s actors.InboxStatus) bool {
		_, err := d.Get(messageKey(10))
		return err == nil && s.Messages == 10
	})
	for kill := range 4 {
		if kill > 0 {
			b, _, _ = startKeeper(t, d, limits) // the one before was killed: nothing of it was closed
			waitUntil(t, b, "all are read", func(s actors.InboxStatus) bool { return s.Messages == 10 })
		}
		n := min(4, 4-(kill-1)) // from the third attempt on they are suspects, which come alone
		if kill == 3 {
			n = 1
		}
		want := slices.Repeat([]int{kill + 1}, n)
		if got := attempts(t, b, n); !slices.Equal(got, want) {
			t.Errorf("after %d kills: got attempts %v, want %v", kill, got, want)
		}
	}
	b, _, stop := startKeeper(t, d, limits)
	if s := b.Status(); s.Dead != 0 {
		t.Errorf("got %d on the shelf", s.Dead)
	}
	for range 2 {
		attempts(t, b, 1)
	}
	waitUntil(t, b, "the first message is on the shelf", func(s actors.InboxStatus) bool { return s.Dead == 1 })
	for m, err := range b.Dead(t.Context()) {
		if err != nil || m.Seq != 1 || m.Attempt != 5 || string(m.Body) != "0" {
			t.Errorf("got %+v, %v, want the first message", m, err)
		}
	}
	stop()

	b, _, stop = startKeeper(t, d, limits)
	waitUntil(t, b, "it is on the shelf after an orderly stop", func(s actors.InboxStatus) bool { return s.Dead == 1 && s.Messages == 10 })
	if n, err := b.Retry(t.Context(), 1, 2, 99); n != 1 || err != nil {
		t.Fatalf("got %d, %v off the shelf, want one", n, err)
	}
	if got := attempts(t, b, 1); !slices.Equal(got, []int{1}) {
		t.Errorf("got attempts %v after a retry, want the first", got)
	}
	stop()
}

// TestAttemptsOfWhatWasNotBegun: what a listener has prefetched and not begun is no attempt, also after an orderly stop.
func TestAttemptsOfWhatWasNotBegun(t *testing.T) {
	d := newFaultyDisk()
	limits := Limits{Bytes: 1 << 20, Messages: 1000}
	b, send, stop := startKeeper(t, d, limits)
	for i := range 10 {
		send(actors.Received{Body: fmt.Append(nil, i)})
	}
	waitUntil(t, b, "all are kept", func(s actors.InboxStatus) bool { return s.Messages == 10 })
	for m, err := range b.Listen(t.Context(), actors.ListenOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Seq == 3 {
			break
		}
	}
	waitUntil(t, b, "the listener has gone", func(s actors.InboxStatus) bool { return s.Listeners == 0 })
	stop()
	b, _, stop = startKeeper(t, d, limits)
	if got := attempts(t, b, 10); !slices.Equal(got, []int{2, 2, 2, 1, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("got attempts %v, want the second of three alone", got)
	}
	stop()
}

// TestAttemptsOfWhatNeverCame: what a listener was handed when it had left already is no attempt.
func TestAttemptsOfWhatNeverCame(t *testing.T) {
	d := newFaultyDisk()
	began, goOn := make(chan struct{}), make(chan struct{})
	d.marks = sync.OnceFunc(func() { close(began); <-goOn })
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 1000, Attempts: 1})
	send(actors.Received{Body: []byte("a")})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		for <-began; b.Status().Listeners == 0; time.Sleep(time.Millisecond) { // the status is shown a moment later
		}
		leave()
	}()
	waitUntil(t, b, "it is on the disk", func(actors.InboxStatus) bool {
		_, err := d.Get(messageKey(1))
		return err == nil
	})
	for m, err := range b.Listen(ctx, actors.ListenOptions{}) {
		t.Errorf("got %+v, %v after the listener had left", m, err)
	}
	waitUntil(t, b, "the listener has gone", func(s actors.InboxStatus) bool { return s.Listeners == 0 })
	close(goOn)
	if s := b.Status(); s.Dead != 0 {
		t.Errorf("got %+v, want nothing on the shelf that nobody has seen", s)
	}
	if got := attempts(t, b, 1); !slices.Equal(got, []int{1}) {
		t.Errorf("got attempts %v, want the first", got)
	}
	stop()
}

// TestSlowMarks: the minute in which a message is a listener's begins when it was handed out, also if the listener has waited for it.
func TestSlowMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultyDisk()
		d.marks = func() { time.Sleep(65 * time.Second) }
		b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 1000})
		defer time.Sleep(time.Minute) // the actor system has a ticker for dead letters
		defer stop()
		send(actors.Received{Body: []byte("a")})
		time.Sleep(time.Second)
		ctx, end := context.WithTimeout(t.Context(), 5*time.Minute)
		defer end()
		var handled atomic.Int32
		var loops sync.WaitGroup
		for range 2 {
			loops.Go(func() {
				for m, err := range b.Listen(ctx, actors.ListenOptions{}) {
					if err != nil {
						t.Error(err)
						return
					}
					handled.Add(1)
					time.Sleep(2 * time.Minute)
					if err := b.Ack(ctx, m.Seq); err != nil {
						t.Error(err)
					}
				}
			})
			time.Sleep(time.Second)
		}
		loops.Wait()
		if n := handled.Load(); n != 1 {
			t.Errorf("the message was handled %d times, want once", n)
		}
	})
}

// TestDrop: what is dropped off the shelf is gone, and its sender is told.
func TestDrop(t *testing.T) {
	d := newFaultyDisk()
	s := new(told)
	b, send, stop := startKeeper(t, d, Limits{Bytes: 1 << 20, Messages: 1000, Attempts: 1}, s)
	for n := range uint64(3) {
		send(withID(n + 1))
	}
	waitUntil(t, b, "all are kept", func(s actors.InboxStatus) bool { return s.Messages == 3 })
	attempts(t, b, 2)
	waitUntil(t, b, "two are on the shelf", func(s actors.InboxStatus) bool { return s.Dead == 2 })
	if n, err := b.Drop(t.Context(), 1, 3); n != 1 || err != nil {
		t.Fatalf("got %d, %v, want one dropped", n, err)
	}
	if n, err := b.Drop(t.Context()); n != 1 || err != nil {
		t.Fatalf("got %d, %v, want the other one dropped", n, err)
	}
	if len(s.dropped) != 2 || s.dropped[0].Number != 1 || len(s.handled) > 0 {
		t.Errorf("got %+v, want two senders told that their messages were dropped", s)
	}
	if s := b.Status(); s.Messages != 1 || s.Dead != 0 {
		t.Errorf("got %+v, want one message left", s)
	}
	stop()
}
