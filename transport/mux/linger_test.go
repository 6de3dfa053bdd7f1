package mux

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// Close after CloseWrite resets nothing while the peer still uses its half; the
// end of that half ends the stream, and LingerTimeout does where it does not come.
func TestCloseLingers(t *testing.T) {
	for _, ends := range []string{"the peer ends", "the peer resets", "the peer stays"} {
		t.Run(ends, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				st := mustOpen(t, s)
				d.next() // SYN
				d.send(typeWindow, flagACK, st.ID(), 0)
				if err := st.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				d.next() // FIN
				read := make(chan error, 1)
				go func() {
					_, err := st.Read(make([]byte, 1))
					read <- err
				}()
				synctest.Wait()
				if err := st.Close(); err != nil {
					t.Fatal(err)
				}
				wantErr(t, <-read, ErrClosed)
				_, err := st.Write([]byte("x"))
				wantErr(t, err, ErrClosed)
				d.data(st.ID(), 0, "still writing")
				time.Sleep(9 * time.Second)
				d.quiet()
				if got := s.NumStreams(); got != 1 {
					t.Errorf("got %d streams while it lingers, want 1", got)
				}
				switch ends {
				case "the peer ends":
					d.send(typeData, flagFIN, st.ID(), 0)
				case "the peer resets":
					d.send(typeData, flagRST, st.ID(), 0)
				case "the peer stays":
					time.Sleep(time.Second)
					synctest.Wait()
					d.expect(fmt.Sprintf("00 00 0008 %08x 00000000", st.ID()))
				}
				time.Sleep(time.Minute)
				d.quiet()
				if got, lib := s.NumStreams(), s.libraryStreams(); got != 0 || lib != 0 {
					t.Errorf("got %d streams, %d in the library, want none", got, lib)
				}
			})
		})
	}
}

// A reset of a stream that lingers is at once: nobody may hold a place for
// longer than its owner wants.
func TestResetWhileLingering(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		st.CloseWrite()
		d.next()
		d.next()
		st.Close()
		st.Close()
		synctest.Wait()
		if got := s.NumStreams(); got != 1 {
			t.Errorf("got %d streams after Close twice, want 1 that lingers", got)
		}
		st.Reset()
		d.expect("00 00 0008 00000001 00000000")
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
		time.Sleep(time.Minute)
		d.quiet()
	})
}

// A reset behind the end of the peer's half reads as the end.
func TestReadsToTheEndBeforeReset(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.data(st.ID(), flagACK, "all of it")
		d.send(typeData, flagFIN, st.ID(), 0)
		d.send(typeData, flagRST, st.ID(), 0)
		synctest.Wait()
		got, err := io.ReadAll(st)
		if string(got) != "all of it" || err != nil {
			t.Errorf("got %q, %v, want all of it and no error", got, err)
		}
		_, err = st.Write([]byte("x"))
		wantErr(t, err, ErrReset)
	})
}
