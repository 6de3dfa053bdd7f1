package mux

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestChurn opens and resets substreams: a peer may do so up to the limit in a
// minute, and any number of times with those whose protocol was agreed on. Then
// it hears GoAway, and the session ends without an offence.
func TestChurn(t *testing.T) {
	const limit = 50
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		s.LimitChurn(limit, new(pacer))
		streams := accept(s)
		id := uint32(1)
		drop := func(agreed bool) {
			d.Send(typeWindow, flagSYN, id, 0)
			st := <-streams
			d.next() // ACK
			d.Send(typeData, flagRST, id, 0)
			synctest.Wait()
			id += 2
			if agreed {
				st.Agreed() // it has ended already
			}
		}
		for range 3 {
			for range 3 * limit {
				drop(true)
			}
			for range limit {
				drop(false)
			}
			synctest.Wait()
			if err := s.Err(); err != nil {
				t.Fatalf("got %v, want a living session", err)
			}
			time.Sleep(time.Minute)
		}
		for range limit {
			drop(false)
		}
		d.Send(typeWindow, flagSYN, id, 0)
		d.next() // ACK, which could come behind GoAway if the reset were there
		d.Send(typeData, flagRST, id, 0)
		d.expect("00 03 0000 00000000 00000000")
		synctest.Wait()
		wantErr(t, s.Err(), ErrTooMuchChurn)
		wantErr(t, s.Err(), ErrSessionEnded)
	})
}

// pacer holds a session back by wait each time, and counts.
type pacer struct {
	wait         time.Duration
	over         bool
	ended, taken int
}

func (p *pacer) Ended() (time.Duration, bool) { p.ended++; return p.wait, !p.over }
func (p *pacer) Agreed()                      { p.taken++ }

// TestChurnHeldBack opens and resets substreams on a session that a pacer holds
// back: one is read each time that the wait is over, and what the peer sends behind
// them waits as well. Nothing else does: what this side writes and resets, and the
// end of the session.
func TestChurnHeldBack(t *testing.T) {
	const wait = 100 * time.Millisecond
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		p := &pacer{}
		s.LimitChurn(1000, p)
		streams := accept(s)
		d.Send(typeWindow, flagSYN, 1, 0)
		used := <-streams
		used.Agreed()
		d.next() // ACK
		p.wait = wait
		id := uint32(3)
		begin := time.Now()
		go func() {
			for range 10 {
				d.Send(typeWindow, flagSYN, id, 0)
				d.Send(typeData, flagRST, id, 0)
				id += 2
			}
			d.Data(0, 1, "behind them")
		}()
		synctest.Wait()
		if got := s.Stats(); got.Unagreed != 1 || !got.HeldBack {
			t.Errorf("got %+v, want one substream ended, and the peer held back", got)
		}
		buf := make([]byte, len("behind them"))
		if _, err := io.ReadFull(used, buf); err != nil || string(buf) != "behind them" {
			t.Errorf("got %q, %v", buf, err)
		}
		if took := time.Since(begin); took != 10*wait {
			t.Errorf("got what was sent behind ten of them after %v, want %v", took, 10*wait)
		}
		if p.ended != 10 || p.taken != 0 {
			t.Errorf("got %+v, want 10 ended", p)
		}
		if got := s.Stats(); got.Unagreed != 10 || got.HeldBack {
			t.Errorf("got %+v, want ten substreams ended, and the peer not held back", got)
		}
		for range 10 {
			(<-streams).Agreed() // after all
		}
		// One that is accepted before its reset is read is acknowledged, any other is not.
		if acked := d.windows(); !slices.IsSorted(acked) || len(slices.Compact(acked)) != len(acked) || len(acked) > 10 {
			t.Errorf("got ACKs of %d, want at most one for each", acked)
		}
		if p.taken != 10 || s.Stats().Unagreed != 0 {
			t.Errorf("got %+v and %d substreams, want all taken back", p, s.Stats().Unagreed)
		}

		p.wait = time.Hour
		d.Send(typeWindow, flagSYN, id, 0)
		d.Send(typeData, flagRST, id, 0)
		begin = time.Now()
		synctest.Wait()
		failed := make(chan error)
		go func() {
			_, err := used.Read(buf)
			failed <- err
		}()
		synctest.Wait()
		used.Reset()
		wantErr(t, <-failed, ErrClosed)
		s.Close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("got a reset and the end after %v, want them not held back", took)
		}
	})
}

// TestChurnEndedByPacer has the pacer end the session: with GoAway, and as too much
// churn.
func TestChurnEndedByPacer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		s.LimitChurn(1000, &pacer{over: true})
		streams := accept(s)
		d.Send(typeWindow, flagSYN, 1, 0)
		d.next() // ACK
		<-streams
		d.Send(typeData, flagRST, 1, 0)
		d.expect("00 03 0000 00000000 00000000")
		synctest.Wait()
		wantErr(t, s.Err(), ErrTooMuchChurn)
	})
}
