package daemon

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestQueueDoesNotWait: nobody reads; what fits waits, the rest is dropped and counted, and a
// reader that comes back has both.
func TestQueueDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		q := NewQueue(w)
		defer close(q.wake)
		said := make(chan uint64, 1)
		q.SayDropped(func(n uint64, last error) {
			if last != nil {
				t.Errorf("got %v, want no error of a write", last)
			}
			said <- n
		})
		text := []byte(strings.Repeat("x", queueBytes/4))
		for range 10 { // one is being written, four wait
			q.Write(text)
			synctest.Wait()
		}
		q.Flush(time.Second)
		time.Sleep(2 * queueStands)
		if got, want := q.Trouble(), "nobody reads the log from standard error, for 11s; 5 records dropped, the last 11s ago"; got != want {
			t.Errorf("got the trouble %q, want %q", got, want)
		}
		got := 0
		go func() {
			n, _ := io.Copy(io.Discard, r)
			got = int(n)
		}()
		q.Flush(time.Hour)
		if n := <-said; n != 5 {
			t.Errorf("got %d dropped, want 5", n)
		}
		w.Close()
		synctest.Wait()
		if want := 5 * len(text); got != want {
			t.Errorf("read %d bytes, want %d", got, want)
		}
		if got := q.Trouble(); !strings.Contains(got, "5 records dropped") {
			t.Errorf("got the trouble %q, want that of the last minutes", got)
		}
		time.Sleep(queueTold)
		if got := q.Trouble(); got != "" {
			t.Errorf("got the trouble %q later, want none", got)
		}
	})
}

// fullDisk fails while full.
type fullDisk struct {
	bytes.Buffer
	full bool
}

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.full {
		return 0, syscall.ENOSPC
	}
	return f.Buffer.Write(b)
}

// TestQueueOnAFullDisk counts what cannot be written, says why, and says it in the log when
// there is room again.
func TestQueueOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{full: true}
		q := NewQueue(disk)
		defer close(q.wake)
		var said []error
		q.SayDropped(func(n uint64, last error) {
			if n != 2 {
				t.Errorf("got %d dropped, want 2", n)
			}
			said = append(said, last)
		})
		for _, text := range []string{"a", "b"} {
			q.Write([]byte(text))
			q.Flush(time.Hour)
		}
		if got, want := q.Trouble(), "the log cannot be written to standard error: no space left on device; 2 records dropped, the last 0s ago"; got != want {
			t.Errorf("got the trouble %q, want %q", got, want)
		}
		disk.full = false
		q.Write([]byte("c"))
		q.Flush(time.Hour)
		if len(said) != 1 || !errors.Is(said[0], syscall.ENOSPC) || disk.String() != "c" {
			t.Errorf("said %v and wrote %q, want the error once, and c", said, disk.String())
		}
	})
}
