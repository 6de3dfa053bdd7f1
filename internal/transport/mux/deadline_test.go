package mux

import (
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
