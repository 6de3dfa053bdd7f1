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
				d.Send(typeWindow, flagACK, st.ID(), 0)
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
				d.Data(0, st.ID(), "still writing")
				time.Sleep(9 * time.Second)
				d.quiet()
				if got := s.NumStreams(); got != 1 {
					t.Errorf("got %d streams while it lingers, want 1", got)
				}
				switch ends {
				case "the peer ends":
					d.Send(typeData, flagFIN, st.ID(), 0)
				case "the peer resets":
					d.Send(typeData, flagRST, st.ID(), 0)
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
		d.Data(flagACK, st.ID(), "all of it")
		d.Send(typeData, flagFIN, st.ID(), 0)
		d.Send(typeData, flagRST, st.ID(), 0)
		synctest.Wait()
		got, err := io.ReadAll(st)
		if string(got) != "all of it" || err != nil {
			t.Errorf("got %q, %v, want all of it and no error", got, err)
		}
		_, err = st.Write([]byte("x"))
		wantErr(t, err, ErrReset)
	})
}

// held is how many bytes this side keeps of a stream.
func held(t *testing.T, st *Stream) int {
	t.Helper()
	synctest.Wait()
	st.in.mu.Lock()
	defer st.in.mu.Unlock()
	return st.in.unread
}

// What is there when a stream is closed that lingers, and what comes after, is
// kept nowhere, and the peer that has much to say still comes to its end.
func TestLingeringKeepsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.next() // SYN
		d.Send(typeWindow, flagACK, st.ID(), 0)
		st.CloseWrite()
		d.next() // FIN
		const piece = 16 << 10
		credit := 256 << 10
		send := func() {
			t.Helper()
			for credit < piece {
				f := d.next()
				if f.Type() != typeWindow || f.Flags() != 0 || f.ID() != st.ID() {
					t.Fatalf("got %v, want more window", f)
				}
				credit += int(f.Length())
			}
			d.Data(0, st.ID(), string(make([]byte, piece)))
			credit -= piece
		}
		for range 6 { // unread when the stream is closed
			send()
		}
		h := newHeader(typeData, 0, st.ID(), piece) // half of one is there
		d.Write(append(h[:], make([]byte, piece/2)...))
		credit -= piece
		synctest.Wait()
		st.Close()
		d.Write(make([]byte, piece/2))
		if n := held(t, st); n != 0 {
			t.Errorf("got %d bytes kept of what had come before Close, want none", n)
		}
		for range 200 {
			send()
		}
		if n := held(t, st); n != 0 {
			t.Errorf("got %d bytes kept of what came after Close, want none", n)
		}
		if got := s.NumStreams(); got != 1 {
			t.Errorf("got %d streams, want 1 that lingers", got)
		}
		d.Data(flagFIN, st.ID(), string(make([]byte, piece)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, lib := s.NumStreams(), s.libraryStreams(); got != 0 || lib != 0 {
			t.Errorf("got %d streams, %d in the library, want none", got, lib)
		}
		for _, f := range d.rest() {
			if f.Type() != typeWindow || f.Flags() != 0 {
				t.Errorf("got %v, want nothing but window", f)
			}
		}
		st = mustOpen(t, s)
		d.Data(flagACK, st.ID(), "the next one")
		mustRead(t, st, "the next one")
	})
}

// Data beyond any window is an offence on a stream that lingers too.
func TestLingeringWindowExceeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.Send(typeWindow, flagACK, st.ID(), 0)
		st.CloseWrite()
		st.Close()
		d.Send(typeData, 0, st.ID(), 1<<20+1)
		_, err := s.Accept()
		wantErr(t, err, ErrWindowExceeded)
	})
}

// A peer that provokes window updates and reads none of them does not make them
// pile up: the connection ends.
func TestLingeringPeerThatReadsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connectWhole(t, true, Config{})
		st := mustOpen(t, s)
		d.Send(typeWindow, flagACK, st.ID(), 0)
		st.CloseWrite()
		synctest.Wait()
		st.Close()
		resume := d.stop()
		s.outbox.send(s, newHeader(typePing, flagSYN, 0, 1)) // what the double was reading
		go func() {
			for range 2 * maxControl {
				d.Data(0, st.ID(), string(make([]byte, s.cfg.Window/4)))
			}
		}()
		_, err := s.Accept()
		wantErr(t, err, errBusy)
		resume()
	})
}

// What is closed after the end of the connection lingers no more.
func TestNoLingeringAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := connect(t, true, Config{})
		st, other := mustOpen(t, s), mustOpen(t, s)
		st.CloseWrite()
		s.Close()
		st.Close()
		other.CloseWrite()
		for _, st := range []*Stream{st, other} {
			s.table.mu.Lock()
			if st.closeTimer != nil {
				t.Error("got a timer of a stream of an ended connection, want none")
			}
			s.table.mu.Unlock()
		}
	})
}
