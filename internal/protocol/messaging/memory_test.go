package messaging_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
)

// opened returns an outbox with an open substream on which one message was
// proven.
func opened(o messaging.Options) *messaging.Outbox[int] {
	box := messaging.NewOutbox[int](o)
	box.Queued(start, messaging.Entry[int]{ID: 1})
	box.Dialled(start, 0, nil)
	box.Opened(start, messaging.Assumed)
	box.Proven(start, box.Wrote(start, 0, nil, false).Prove)
	return box
}

// TestMemoryComesBack has a burst of messages pass, and looks at what is held
// when the Wakes that the outbox asked for have come.
func TestMemoryComesBack(t *testing.T) {
	box := opened(messaging.Options{})
	now := start
	wakes := burst(box, now, 4000)
	if got, want := box.Held(), 4000; got < want {
		t.Fatalf("got memory for %d messages, want %d held for the next burst", got, want)
	}
	rounds := 0
	for ; len(wakes) > 0; rounds++ {
		if rounds == 10 {
			t.Fatalf("got a Wake for %v after %d rounds at rest, want none", wakes[0].Sub(start), rounds)
		}
		now, wakes = wakes[0], wakes[1:]
		if f := box.Due(now); !f.Wake.IsZero() {
			wakes = append(wakes, f.Wake)
		}
	}
	if got, most := box.Held(), 32; got > most {
		t.Errorf("got memory for %d messages at rest, want at most %d", got, most)
	}
	if got, most := now.Sub(start), 2*time.Second; got > most {
		t.Errorf("got the memory back after %v, want within %v", got, most)
	}
}

// TestMemoryStaysInUse: bursts that follow each other find the memory of the
// one before.
func TestMemoryStaysInUse(t *testing.T) {
	box := opened(messaging.Options{})
	for i := range 20 {
		now := start.Add(time.Duration(i) * 600 * time.Millisecond)
		box.Due(now)
		if got, want := box.Held(), 1000; i > 0 && got < want {
			t.Fatalf("got memory for %d messages before burst %d, want %d", got, i, want)
		}
		burst(box, now, 1000)
	}
}

// TestMemoryOfLongQueue: a queue that is never empty does not grow for ever,
// and one that becomes short gives memory back.
func TestMemoryOfLongQueue(t *testing.T) {
	box := opened(messaging.Options{BatchFrames: 8})
	now := start
	id := uint64(1)
	queue := func() {
		id++
		box.Queued(now, messaging.Entry[int]{ID: id})
	}
	for range 500 {
		queue()
	}
	for range 10_000 {
		queue()
		queue()
		box.Proven(now, box.Wrote(now, 0, nil, false).Prove)
		for box.Len() < 500 {
			queue()
		}
	}
	if got, most := box.Held(), 1200; got > most {
		t.Errorf("got memory for %d messages, want at most %d for about 500", got, most)
	}
	for box.Len() > 8 {
		box.Proven(now, box.Wrote(now, 0, nil, false).Prove)
	}
	for range 3 {
		now = now.Add(time.Second)
		queue()
		box.Due(now)
		box.Proven(now, box.Wrote(now, 0, nil, false).Prove)
	}
	if got, most := box.Held(), 64; got > most {
		t.Errorf("got memory for %d messages, want at most %d for about 8", got, most)
	}
}

// burst has n messages written and proven, and returns the Wakes asked for.
func burst(box *messaging.Outbox[int], now time.Time, n int) (wakes []time.Time) {
	note := func(f messaging.Effects[int]) messaging.Effects[int] {
		if !f.Wake.IsZero() {
			wakes = append(wakes, f.Wake)
		}
		return f
	}
	for i := range n {
		note(box.Queued(now, messaging.Entry[int]{ID: uint64(i + 2)}))
	}
	mark := uint64(0)
	for {
		f := note(box.Wrote(now, 0, nil, false))
		if f.Prove == 0 {
			break
		}
		mark = f.Prove
	}
	note(box.Proven(now, mark))
	return wakes
}

// TestOutboxAllocates nothing in steady state, whatever the size of the bursts.
func TestOutboxAllocates(t *testing.T) {
	for _, n := range []int{1, 20, 4000} {
		box := opened(messaging.Options{})
		now := start
		round := func() {
			now = now.Add(time.Millisecond)
			box.Due(now)
			for i := range n {
				box.Queued(now, messaging.Entry[int]{ID: uint64(i + 2)})
			}
			f := box.Wrote(now, 0, nil, false)
			for len(f.Write) > 0 {
				f = box.Wrote(now, 0, nil, false)
			}
			box.Proven(now, f.Prove)
		}
		if got := testing.AllocsPerRun(20, round); got > 0 {
			t.Errorf("got %v allocations for %d messages, want none", got, n)
		}
	}
}

// TestBatches are as large as the defaults say.
func TestBatches(t *testing.T) {
	for _, c := range []struct{ size, want int }{{0, 1024}, {128, 1024}, {1 << 10, 128}, {100 << 10, 1}, {1 << 20, 1}} {
		box := messaging.NewOutbox[int](messaging.Options{})
		body := make([]byte, c.size)
		for id := range uint64(1100) {
			box.Queued(start, messaging.Entry[int]{ID: id, Body: body})
		}
		box.Dialled(start, 0, nil)
		if got := len(box.Opened(start, messaging.Assumed).Write); got != c.want {
			t.Errorf("got %d messages of %d bytes in a write, want %d", got, c.size, c.want)
		}
	}
}
