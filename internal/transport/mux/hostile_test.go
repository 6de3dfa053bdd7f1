package mux

import (
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// A peer that gives credit without end does not make it overflow.
func TestCreditWithoutEnd(t *testing.T) {
	o := outflow{ready: newWaker()}
	o.window = maxCredit - 1
	for range 10 {
		o.grant(math.MaxUint32)
	}
	if n, err := o.take(MaxPiece); n != MaxPiece || err != nil || o.window != maxCredit-MaxPiece {
		t.Errorf("got %d, %v and %d left, want a piece of the most that is kept", n, err, o.window)
	}
}

// A substream whose opener has ended its half gets no credit: nothing more comes.
func TestNoCreditAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		d.Data(flagSYN|flagFIN, 1, "all of it")
		synctest.Wait()
		st := <-accept(s)
		mustRead(t, st, "all of it")
		wantEOF(t, st)
		d.quiet()
		mustWrite(t, st, "answer")
		d.expect("00 00 0000 00000001 00000006 616e73776572")
	})
}

// Nobody reads what a peer sends behind its own end, or with a reset.
func TestBehindTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		in := accept(s)
		d.Data(flagSYN, 1, "first")
		ended := <-in
		d.Data(flagFIN, 1, " and last")
		d.Data(0, 1, "behind it")
		d.Data(flagSYN, 3, "first")
		reset := <-in
		d.Data(flagRST, 3, "with it")
		synctest.Wait()
		mustRead(t, ended, "first and last")
		wantEOF(t, ended)
		mustRead(t, reset, "first")
		for range 2 {
			_, err := reset.Read(make([]byte, 10))
			wantErr(t, err, ErrReset)
		}
		if s.Err() != nil {
			t.Errorf("got %v, want a living session", s.Err())
		}
	})
}

// The frame with which a peer goes beyond a limit is the last one of the connection, and still
// notified.
func TestNotifiedOfTheLastFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		s.LimitChurn(1, new(pacer))
		in := accept(s)
		b := newBell()
		for id := uint32(1); id <= 3; id += 2 {
			d.Data(flagSYN, id, "x")
			st := <-in
			mustRead(t, st, "x")
			st.Notify(nil, b.ring)
			d.Send(typeData, flagRST, id, 0)
			b.want(t, "reset", 1)
		}
		wantErr(t, s.Err(), ErrTooMuchChurn)
	})
}

// Read with an empty buffer says nothing of the peer.
func TestEmptyRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		d.Data(flagSYN, 1, "x")
		st := <-accept(s)
		d.Send(typeData, flagRST, 1, 0)
		synctest.Wait()
		if n, err := st.Read(nil); n != 0 || err != nil {
			t.Errorf("got %d, %v, want nothing", n, err)
		}
		mustRead(t, st, "x")
		st.Close()
		_, err := st.Read(nil)
		wantErr(t, err, ErrClosed)
	})
}

func wantEOF(t *testing.T, st *Stream) {
	t.Helper()
	if n, err := st.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v, want the end", n, err)
	}
}

// TestDataBehindTheEnd: a peer that has ended its half may send no more than the credit that it has.
func TestDataBehindTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{Window: minWindow})
		d.Data(flagSYN|flagFIN, 1, "x")
		st := <-accept(s)
		mustRead(t, st, "x")
		wantEOF(t, st)
		for range 8 {
			d.Data(0, 1, string(make([]byte, minWindow/4)))
		}
		synctest.Wait()
		wantErr(t, s.Err(), ErrWindowExceeded)
	})
}

// TestPanicAtTheEnd: a listener that panics when the connection ends keeps no Read from ending.
func TestPanicAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := connect(t, true, Config{})
		read := make(chan error, 10)
		for i := range cap(read) {
			st := mustOpen(t, s)
			st.Notify(nil, func() {
				if i == 0 {
					panic("listener")
				}
			})
			go func() {
				_, err := st.Read(make([]byte, 1))
				read <- err
			}()
		}
		synctest.Wait()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("got no panic of the listener")
				}
			}()
			s.end(ErrHungUp)
		}()
		s.Close()
		for range cap(read) {
			wantErr(t, <-read, ErrSessionEnded)
		}
	})
}

// TestOpenBeforeTheLastGoAway: an Open while GoAway for an offence waits to be written says that the
// session has ended, when it has.
func TestOpenBeforeTheLastGoAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		s.LimitChurn(1, new(pacer))
		accept(s)
		resume, _ := stand(t, s, d, 200_000)
		defer resume()
		for id := uint32(2); id <= 4; id += 2 {
			d.Data(flagSYN, id, "x")
			d.Send(typeData, flagRST, id, 0)
		}
		synctest.Wait()
		if s.Err() != nil {
			t.Fatalf("got %v already, want GoAway to wait", s.Err())
		}
		if _, err := s.Open(); err != nil {
			wantErr(t, err, ErrSessionEnded)
		}
		time.Sleep(2 * time.Second)
		wantErr(t, s.Err(), ErrTooMuchChurn)
	})
}
