package mux

import (
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// TestReceiveWindow has a peer that sends as much as it may, and a reader that takes any
// amount at a time. Never is more unread than the window, and the peer always has credit for
// all but what is unread and a quarter of the window. One byte beyond is an offence.
func TestReceiveWindow(t *testing.T) {
	for _, window := range []int{minWindow, 300_001, 1 << 20, maxWindow} {
		bubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(window)))
			s, d := connectWhole(t, false, Config{Window: uint32(window)})
			d.Data(flagSYN, 1, "first")
			in, err := s.Accept()
			if err != nil {
				t.Fatal(err)
			}
			credit, unread := initialWindow-len("first"), len("first")
			hear := func() {
				t.Helper()
				synctest.Wait()
				for _, f := range d.rest() {
					if f.Type() != typeWindow || f.ID() != 1 {
						t.Fatalf("got %v, want credit", f)
					}
					credit += int(f.Length())
				}
				if credit+unread > window || credit+unread <= window-window/4 {
					t.Fatalf("got credit for %d bytes with %d unread, want a window of %d but for a quarter", credit, unread, window)
				}
			}
			hear()
			buf := make([]byte, window)
			for sent := 0; sent < 8*window; {
				if n := min(credit, 1+random.IntN(MaxPiece)); n > 0 && random.IntN(3) > 0 {
					d.Data(0, 1, string(make([]byte, n)))
					credit, unread, sent = credit-n, unread+n, sent+n
				} else if unread > 0 {
					n, err := in.Read(buf[:1+random.IntN(window)])
					if err != nil {
						t.Fatal(err)
					}
					unread -= n
				}
				hear()
			}
			for credit > 0 {
				n := min(credit, MaxPiece)
				d.Data(0, 1, string(make([]byte, n)))
				credit -= n
			}
			synctest.Wait()
			if err := s.Err(); err != nil {
				t.Fatalf("got %v after all that the peer had credit for, want a living session", err)
			}
			d.Data(0, 1, "x")
			synctest.Wait()
			wantErr(t, s.Err(), ErrWindowExceeded)
		})
	}
}

// TestDataAfterTheEnd: what a peer sends on a substream that it has reset goes nowhere, whatever
// came in between, so that it cannot make this side keep more than a window of it.
func TestDataAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{Window: minWindow})
		d.Data(flagSYN, 1, "")
		d.Data(flagSYN, 3, "")
		in, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		all := make([]byte, minWindow)
		d.Data(0, 1, string(all))
		d.Send(typeData, flagRST, 1, 0)
		d.Data(0, 1, string(all)) // the window is that of the last frame
		d.Data(0, 3, "x")
		d.Data(0, 1, string(all)) // the window is that of another substream
		d.Data(flagACK, 1, string(all))
		synctest.Wait()
		if err := s.Err(); err != nil {
			t.Fatalf("got %v, want a living session", err)
		}
		got, err := io.ReadAll(in)
		if wantErr(t, err, ErrReset); len(got) != minWindow {
			t.Errorf("got %d bytes, want the %d that came before the reset", len(got), minWindow)
		}
	})
}

// TestIDUsedAgain: a substream with an id that the peer has used before has a window of its own.
func TestIDUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{Window: minWindow})
		in := accept(s)
		d.Data(flagSYN, 1, "")
		d.Data(0, 1, string(make([]byte, minWindow)))
		(<-in).Reset()
		synctest.Wait()
		d.Data(flagSYN, 1, "")
		again := <-in
		d.Data(0, 1, "hello")
		mustRead(t, again, "hello")
		if got := again.in.sent; got != 5 {
			t.Errorf("got %d bytes counted, want those of the new substream", got)
		}
	})
}
