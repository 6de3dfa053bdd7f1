package messengers

import (
	"runtime"
	"testing"
)

// TestWriterGathers has a sender add a message just after the writer has taken a batch. The
// writer lets the sender run before its next batch if the last one had several messages, and
// not if it had one.
func TestWriterGathers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that the sender runs when the writer lets it
	const rounds = 100
	for _, x := range []struct{ first, late int }{{1, 0}, {2, rounds}, {64, rounds}} {
		late := 0
		for range rounds {
			q, wake := new(sendQueue), make(signal, 1)
			q.startPull(wake)
			for range x.first {
				q.push(new(Enqueue))
			}
			w := writerTask{queue: q}
			if b := w.next(wake); len(b) != x.first {
				t.Fatalf("got a batch of %d messages, want %d", len(b), x.first)
			}
			done := make(chan struct{})
			go func() { q.push(new(Enqueue)); close(done) }()
			late += len(w.next(wake))
			<-done
		}
		if d := late - x.late; d < -rounds/10 || d > rounds/10 { // the runtime may let the sender run, too
			t.Errorf("after batches of %d the next ones had %d messages, want about %d", x.first, late, x.late)
		}
	}
}
