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
		st.Notify(nil, func() {
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
		st.Notify(nil, b.ring)
		b.want(t, "bytes that were there before", 0)
		if got, err := look(st); got != "again" || err != nil {
			t.Errorf("got %q, %v, want again", got, err)
		}
		st.Notify(nil, nil)
		d.Data(0, st.ID(), "and again")
		b.want(t, "taken back", 0)
		if st.listener.Load() != nil {
			t.Error("somebody still listens")
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
						st.Notify(nil, b.ring)
						b.want(t, "before", 0)
					}
					end(s, d, st)
					time.Sleep(time.Millisecond) // nobody may read at first: see lead
					if !first {
						st.Notify(nil, b.ring)
					}
					b.want(t, name, 1)
					if name == "bytes and FIN" {
						mustRead(t, st, "x")
					}
					if _, err := st.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %v when reading then, want the end", err)
					}
					if st.listener.Load() != nil {
						t.Error("somebody still listens")
					}
				})
			})
		}
	}
}

// TestTryRead: the function take of Notify takes the frames that it can on the session's
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
			st.Notify(func() bool {
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
		want("with the end", 1, 1)
		mustRead(t, st, "last")
		if st.listener.Load() != nil {
			t.Error("somebody still listens")
		}
	})
}

// TestTryReadNeverWaits: a peer that reads nothing does not keep this side from reading what it
// sends. It gets its credit when it reads; until then, only so many frames of it wait, and the
// rest of its bytes are left to Read, which waits.
func TestTryReadNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connectWhole(t, true, Config{Window: minWindow})
		st := mustOpen(t, s)
		d.next()
		d.Data(flagACK, st.ID(), "x")
		mustRead(t, st, "x")
		synctest.Wait() // the session has told of it
		const piece = minWindow / 4
		p := make([]byte, piece)
		read := 0
		b := newBell()
		st.Notify(func() bool {
			n, ok := st.TryRead(p)
			read += n
			return ok
		}, b.ring)
		resume, written := stand(t, s, d, 2*MaxPiece)
		for range maxControl {
			d.Data(0, st.ID(), string(p))
			synctest.Wait()
		}
		b.want(t, "with room for credit", 0)
		if want := maxControl * piece; read != want {
			t.Fatalf("got %d bytes, want all %d", read, want)
		}
		d.Data(0, st.ID(), string(p))
		b.want(t, "without room", 1)
		go st.Read(p)
		time.Sleep(time.Second)
		resume()
		if err := <-written; err != nil {
			t.Error(err)
		}
		d.next()
		d.next() // the data
		if got := len(d.windows()); got != maxControl+1 {
			t.Errorf("got %d frames with credit, want %d", got, maxControl+1)
		}
	})
}
