package mux

import (
	"errors"
	"os"
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
		d.data(other.ID(), flagACK, "for the other")
		d.send(typeWindow, 0, st.ID(), 1000)
		d.send(typeWindow, flagACK, st.ID(), 0)
		b.want(t, "bytes for another, credit, and ACK", 0)
		h := newHeader(typeData, 0, st.ID(), 5)
		d.raw(append(h[:], "hel"...))
		b.want(t, "half of a frame", 0)
		d.raw([]byte("lo"))
		b.want(t, "all of it", 1)
		if seen != "hello" {
			t.Errorf("read %q when notified, want hello", seen)
		}
		d.data(st.ID(), 0, "again")
		b.want(t, "later bytes", 0)
		st.Notify(b.ring)
		b.want(t, "bytes that were there before", 0)
		if got, err := look(st); got != "again" || err != nil {
			t.Errorf("got %q, %v, want again", got, err)
		}
		st.Notify(nil)
		d.data(st.ID(), 0, "and again")
		b.want(t, "taken back", 0)
		if got := s.link.table.listening.Load(); got != 0 {
			t.Errorf("got %d listening, want none", got)
		}
	})
}

func TestNotifyOfTheEnd(t *testing.T) {
	ends := map[string]func(s *Session, d *double, st *Stream){
		"FIN":            func(_ *Session, d *double, st *Stream) { d.send(typeData, flagFIN, st.ID(), 0) },
		"FIN on credit":  func(_ *Session, d *double, st *Stream) { d.send(typeWindow, flagFIN, st.ID(), 0) },
		"bytes and FIN":  func(_ *Session, d *double, st *Stream) { d.send(typeData, flagFIN, st.ID(), 0, 'x') },
		"reset":          func(_ *Session, d *double, st *Stream) { d.send(typeWindow, flagRST, st.ID(), 0) },
		"hang-up":        func(_ *Session, d *double, _ *Stream) { d.conn.Close() },
		"GoAway":         func(_ *Session, d *double, _ *Stream) { d.send(typeGoAway, 0, 0, 0) },
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
					d.data(st.ID(), flagACK, "x")
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
