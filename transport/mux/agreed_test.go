package mux

import (
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
		s.LimitChurn(limit)
		streams := accept(s)
		id := uint32(1)
		drop := func(agreed bool) {
			d.send(typeWindow, flagSYN, id, 0)
			d.send(typeData, flagRST, id, 0)
			id += 2
			if st := <-streams; agreed {
				st.Agreed() // it has ended already
			}
			d.next() // ACK
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
		d.send(typeWindow, flagSYN, id, 0)
		d.send(typeData, flagRST, id, 0)
		d.next() // ACK
		d.expect("00 03 0000 00000000 00000000")
		synctest.Wait()
		wantErr(t, s.Err(), ErrTooMuchChurn)
		wantErr(t, s.Err(), ErrSessionEnded)
	})
}
