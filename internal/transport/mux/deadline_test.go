package mux

import (
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A read deadline ends a Read that waits, and nothing else: what has arrived is
// read, the substream lives on, and a reset still wakes.
func TestReadDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		st.SetDeadline(time.Now().Add(10 * time.Second))
		start := time.Now()
		_, err := st.Read(make([]byte, 1))
		wantErr(t, err, os.ErrDeadlineExceeded)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("got the error after %v, want 10s", took)
		}
		d.Data(flagACK, st.ID(), "arrived")
		synctest.Wait()
		mustRead(t, st, "arrived")
		_, err = st.Read(make([]byte, 1))
		wantErr(t, err, os.ErrDeadlineExceeded)
		st.SetDeadline(time.Time{})
		done := make(chan error, 1)
		go func() {
			_, err := st.Read(make([]byte, 1))
			done <- err
		}()
		time.Sleep(time.Hour)
		st.Reset()
		wantErr(t, <-done, ErrClosed)
		if s.Err() != nil {
			t.Errorf("got %v, want a living session", s.Err())
		}
	})
}

// A header that waits for its body is not on the wire: frames of our own go
// first, and Close and the end of the connection do not wait for the body.
func TestHeldHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		l := s.link
		h := newHeader(typeData, 0, 7, 4)
		buf := h[:]
		if n, err := l.Write(buf); n != headerLen || err != nil {
			t.Fatalf("got %d, %v, want 12", n, err)
		}
		clear(buf) // it is the library's again
		d.quiet()
		if err := l.outbox.reset(l, 9); err != nil {
			t.Fatal(err)
		}
		d.expect("00 00 0008 00000009 00000000")
		l.Write([]byte("body"))
		d.expect("00 00 0000 00000007 00000004 626f6479")

		h = newHeader(typeData, 0, 7, 4)
		l.Write(h[:])
		s.Close()
		if n, err := l.Write([]byte("late")); n != 4 || err != nil {
			t.Errorf("got %d, %v, want it swallowed", n, err)
		}
		d.quiet()
		if _, err := l.Read(make([]byte, 100)); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
	})
}
