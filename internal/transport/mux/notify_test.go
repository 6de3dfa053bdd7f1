package mux

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// bell counts how often it was rung.
type bell struct{ rung chan struct{} }

func newBell() bell { return bell{make(chan struct{}, 100)} }

func (b bell) ring() { b.rung <- struct{}{} }

func (b bell) want(t *testing.T, what string, n int) {
	t.Helper()
	synctest.Wait()
	if got := len(b.rung); got != n {
		t.Errorf("%s: notified %d times, want %d", what, got, n)
	}
	for len(b.rung) > 0 {
		<-b.rung
	}
}

// look reads what is there and no more.
func look(st *Stream) (string, error) {
	st.SetReadDeadline(passedDeadline)
	defer st.SetReadDeadline(time.Time{})
	b := make([]byte, 100)
	n, err := st.Read(b)
	return string(b[:n]), err
}

func TestNotifyOfBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st, other := mustOpen(t, s), mustOpen(t, s)
		b := newBell()
		var seen string
		st.Notify(func() {
			b.ring()
			seen, _ = look(st) // the library has them by now
		})
		b.want(t, "nothing came", 0)
		d.Data(flagACK, other.ID(), "for the other")
		d.Send(typeWindow, 0, st.ID(), 1000)
		d.Send(typeWindow, flagACK, st.ID(), 0)
		b.want(t, "bytes for another, credit, and ACK", 0)
		h := newHeader(typeData, 0, st.ID(), 5)
		d.Write(append(h[:], "hel"...))
		b.want(t, "half of a frame", 0)
		d.Write([]byte("lo"))
		b.want(t, "all of it", 1)
		if seen != "hello" {
			t.Errorf("read %q when notified, want hello", seen)
		}
		d.Data(0, st.ID(), "again")
		b.want(t, "later bytes", 0)
		st.Notify(b.ring)
		b.want(t, "bytes that were there before", 0)
		if got, err := look(st); got != "again" || err != nil {
			t.Errorf("got %q, %v, want again", got, err)
		}
		st.Notify(nil)
		d.Data(0, st.ID(), "and again")
		b.want(t, "taken back", 0)
		if got := s.link.table.listening.Load(); got != 0 {
			t.Errorf("got %d listening, want none", got)
		}
	})
}

func TestNotifyOfTheEnd(t *testing.T) {
	ends := map[string]func(s *Session, d *double, st *Stream){
		"FIN":            func(_ *Session, d *double, st *Stream) { d.Send(typeData, flagFIN, st.ID(), 0) },
		"FIN on credit":  func(_ *Session, d *double, st *Stream) { d.Send(typeWindow, flagFIN, st.ID(), 0) },
		"bytes and FIN":  func(_ *Session, d *double, st *Stream) { d.Data(flagFIN, st.ID(), "x") },
		"reset":          func(_ *Session, d *double, st *Stream) { d.Send(typeWindow, flagRST, st.ID(), 0) },
		"hang-up":        func(_ *Session, d *double, _ *Stream) { d.conn.Close() },
		"GoAway":         func(_ *Session, d *double, _ *Stream) { d.Send(typeGoAway, 0, 0, 0) },
		"our Close":      func(_ *Session, _ *double, st *Stream) { st.Close() },
		"session closed": func(s *Session, _ *double, _ *Stream) { s.Close() },
		"no end of theirs": func(_ *Session, _ *double, st *Stream) {
			st.CloseWrite()
			time.Sleep(5 * time.Minute)
		},
	}
	for name, end := range ends {
		for _, first := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s, d := connect(t, true, Config{})
					st := mustOpen(t, s)
					d.Data(flagACK, st.ID(), "x")
					mustRead(t, st, "x")
					synctest.Wait() // the session has told of it
					b := newBell()
					if first {
						st.Notify(b.ring)
						b.want(t, "before", 0)
					}
					end(s, d, st)
					synctest.Wait()
					if !first {
						st.Notify(b.ring)
					}
					b.want(t, name, 1)
					if name == "bytes and FIN" {
						mustRead(t, st, "x")
					}
					if _, err := st.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %v when reading then, want the end", err)
					}
					if got := s.link.table.listening.Load(); got != 0 {
						t.Errorf("got %d listening, want none", got)
					}
				})
			})
		}
	}
}

// TestTryRead: the function of NotifyUnless takes the frames that it can on the session's
// goroutine, and Notify's function is called for the first that it leaves.
func TestTryRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st, other := mustOpen(t, s), mustOpen(t, s)
		d.Data(flagACK, other.ID(), "for the other")
		d.Data(flagACK, st.ID(), "read before")
		mustRead(t, st, "read before")
		synctest.Wait()
		b := newBell()
		var took []string
		calls := 0
		listen := func() {
			st.NotifyUnless(func() bool {
				calls++
				var p [8]byte
				n, ok := st.TryRead(p[:])
				if n > 0 {
					took = append(took, string(p[:n]))
				}
				return ok
			}, b.ring)
		}
		want := func(what string, wantCalls, rung int, want ...string) {
			t.Helper()
			b.want(t, what, rung)
			if calls != wantCalls || !slices.Equal(took, want) {
				t.Errorf("%s: got %d calls and %q, want %d and %q", what, calls, took, wantCalls, want)
			}
			calls, took = 0, nil
		}
		listen()
		want("bytes that were there before", 0, 0)
		d.Data(0, st.ID(), "one")
		d.Data(0, other.ID(), "for the other")
		d.Data(0, st.ID(), "two")
		d.Send(typeWindow, 0, st.ID(), 1000)
		want("two frames, one for another and credit", 2, 0, "one", "two")
		h := newHeader(typeData, 0, st.ID(), 5)
		d.Write(append(h[:], "hel"...))
		want("half of a frame", 0, 0)
		d.Write([]byte("lo"))
		want("all of it", 1, 0, "hello")
		d.Data(0, st.ID(), "too much for it")
		want("more than it has room for", 1, 1)
		d.Data(0, st.ID(), ", again")
		want("it has given up", 0, 0)
		mustRead(t, st, "too much for it, again")

		listen()
		d.Data(flagFIN, st.ID(), "last")
		want("with the end", 0, 1)
		mustRead(t, st, "last")
		if got := s.link.table.listening.Load(); got != 0 {
			t.Errorf("got %d listening, want none", got)
		}
	})
}

// TestTryReadNeverWaits: a peer that reads nothing does not keep this side from reading what
// it sends, and gets its credit when it reads. Once in a while the library gives credit, which
// may wait: then the bytes are left to Read.
func TestTryReadNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{Window: minWindow})
		st := mustOpen(t, s)
		d.next()
		d.Data(flagACK, st.ID(), "x")
		mustRead(t, st, "x")
		const piece = 1 << 10
		var p [2 * piece]byte
		read, left := 0, 0
		b := newBell()
		listen := func() {
			st.NotifyUnless(func() bool {
				n, ok := st.TryRead(p[:])
				read += n
				return ok
			}, b.ring)
		}
		listen()
		credit := minWindow - 1
		send := func() {
			d.Data(0, st.ID(), string(make([]byte, piece)))
			credit -= piece
			synctest.Wait()
			if len(b.rung) > 0 {
				b.want(t, "left to Read", 1)
				left++
				n, err := st.Read(p[:])
				if err != nil {
					t.Fatal(err)
				}
				read += n
				listen()
			}
		}
		// The peer stands still, so that the library could not write credit: TryRead takes what
		// comes until the library would give some, and leaves that to Read.
		resume, written := stand(t, s, d, 2*MaxPiece)
		for read < 3*minWindow && len(b.rung) == 0 {
			if w := st.window; w.promised.Load()-w.sent < piece {
				t.Fatalf("got no credit after %d bytes that were read", read)
			}
			d.Data(0, st.ID(), string(make([]byte, piece)))
			synctest.Wait()
		}
		b.want(t, "left to Read", 1)
		if read < minWindow/2 {
			t.Errorf("got %d bytes by TryRead, want half a window or more", read)
		}
		resume()
		if err := <-written; err != nil {
			t.Error(err)
		}
		n, err := st.Read(p[:])
		if err != nil {
			t.Fatal(err)
		}
		read += n
		listen()
		d.next()
		d.next() // the data
		credit -= int(st.window.sent) - 1
		for range 16 * minWindow / piece {
			for credit < piece {
				f := d.next()
				if f.Type() != typeWindow || f.ID() != st.ID() {
					t.Fatalf("got %v, want credit", f)
				}
				credit += int(f.Length())
			}
			send()
		}
		if left < 14 || left > 20 {
			t.Errorf("got %d pieces left to Read, want one in a window or so", left)
		}
		if want := int(st.window.sent) - 1; read != want {
			t.Errorf("got %d bytes, want all %d", read, want)
		}
	})
}
