package mux

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestGather: only a substream that does not write alone yields, and not for long if
// that gathers nothing.
func TestGather(t *testing.T) {
	var g gather
	yields := func(ids ...uint32) (n int) {
		for _, id := range ids {
			if g.yields(id) {
				n++
				g.yielded(1)
			}
		}
		return n
	}
	if got := yields(1, 1, 1, 1); got != 1 {
		t.Errorf("yields of a substream alone: got %d, want the first", got)
	}
	if got := yields(3, 5, 7, 9, 11, 13); got != maxMisses-1 {
		t.Errorf("yields that gather nothing: got %d more, want %d", got, maxMisses-1)
	}
	for id := range uint32(skipped - 3) {
		if g.yields(100 + id) {
			t.Fatalf("yield after %d writes, want none before %d", id, skipped)
		}
	}
	for id := range uint32(10 * maxMisses) {
		if !g.yields(1000 + id) {
			t.Fatalf("write %d: got no yield, although each gathers", id)
		}
		g.yielded(int(2 * (id % 2))) // another has taken the frame along, or this one takes two
	}
}

// TestFirstBytesTakeSYNAlong: the SYN leaves with the first bytes, and alone after a moment
// without.
func TestFirstBytesTakeSYNAlong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := net.Pipe()
		a, b := &countedWrites{Conn: x}, &countedWrites{Conn: y}
		client, server := wrap(t, a, true, Config{}), wrap(t, b, false, Config{})
		both := func(what string, wantA, wantB int64) {
			t.Helper()
			synctest.Wait()
			if gotA, gotB := a.n.Swap(0), b.n.Swap(0); gotA != wantA || gotB != wantB {
				t.Errorf("%s: got %d and %d writes, want %d and %d", what, gotA, gotB, wantA, wantB)
			}
		}
		st := mustOpen(t, client)
		both("open", 0, 0)
		mustWrite(t, st, "first")
		both("first bytes", 1, 0)
		in, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		both("accept", 0, 1)
		mustWrite(t, in, "answer")
		both("answer", 0, 1)

		mustOpen(t, client)
		time.Sleep(holdLimit)
		both("nothing follows", 1, 0)
	})
}

// TestWriteHeld: what is held goes with the SYN and with what is written next, and after a moment
// alone; nothing overtakes it on its substream.
func TestWriteHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := net.Pipe()
		a := &countedWrites{Conn: x}
		client, server := wrap(t, a, true, Config{}), wrap(t, y, false, Config{})
		hold := func(st *Stream, p string) {
			t.Helper()
			if err := st.WriteHeld([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
		end := func(st *Stream) {
			t.Helper()
			if err := st.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		arrives := func(want string, writes int64) {
			t.Helper()
			synctest.Wait() // all of it has arrived
			in, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			var ahead [100]byte
			if got := string(ahead[:in.Ahead(ahead[:])]); got != want {
				t.Errorf("got %q ahead, want %q", got, want)
			}
			if got := string(ahead[:in.Ahead(ahead[:2])]); got != want[:2] {
				t.Errorf("got %q ahead of two bytes, want %q", got, want[:2])
			}
			if got, err := io.ReadAll(in); string(got) != want || err != nil {
				t.Errorf("read %q, %v, want %q", got, err, want)
			}
			if got := a.n.Swap(0); got != writes {
				t.Errorf("%q: got %d writes, want %d", want, got, writes)
			}
			in.Close()
		}
		st := mustOpen(t, client)
		hold(st, "name, ")
		mustWrite(t, st, "data")
		end(st)
		arrives("name, data", 2)

		st = mustOpen(t, client)
		hold(st, "name, end")
		end(st)
		arrives("name, end", 1)

		st = mustOpen(t, client)
		hold(st, "name, ")
		synctest.Wait()
		if got := a.n.Load(); got != 0 {
			t.Errorf("got %d writes at once, want none", got)
		}
		time.Sleep(holdLimit)
		synctest.Wait()
		if got := a.n.Load(); got != 1 {
			t.Errorf("got %d writes after %v, want one", got, holdLimit)
		}
		hold(st, "more")
		end(st)
		arrives("name, more", 2)

		if err := st.WriteHeld([]byte("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: got %v, want %v", err, ErrClosed)
		}
		st = mustOpen(t, client)
		st.Reset()
		if err := st.WriteHeld([]byte("late")); !errors.Is(err, protocol.ErrUnsent) {
			t.Errorf("after a reset: got %v, want an error that says that nothing was sent", err)
		}
	})
}

// TestResetBehindSYN: a substream that is given up before its SYN has left is given up for
// the peer as well.
func TestResetBehindSYN(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		mustOpen(t, s).Reset()
		syn, rst := d.next(), d.next()
		if syn.Flags() != flagSYN || rst.Flags() != flagRST || syn.ID() != rst.ID() {
			t.Errorf("got frames %v and %v, want SYN and RST of one substream", syn, rst)
		}
		d.quiet()
	})
}

// TestRunOn: frames that nobody waits for, such as ACKs and pongs, are written on the
// goroutines that the session is lent.
func TestRunOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		ran := 0
		s.RunOn(func(f func()) {
			ran++
			go f()
		})
		d.Data(flagSYN, 1, "x")
		if _, err := s.Accept(); err != nil {
			t.Fatal(err)
		}
		d.expect("00 01 0002 00000001 000c0000")
		synctest.Wait()
		d.Send(typePing, flagSYN, 0, 7)
		d.expect("00 02 0002 00000000 00000007")
		if ran != 2 {
			t.Errorf("got %d functions run, want one for the ACK and one for the pong", ran)
		}
	})
}

// TestPrompt: while a session is held, or its connection takes nothing, the opener is told that
// it would wait, before much waits. What it opened so never blocked.
func TestPrompt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connectHeld(t, true, Config{}, inParts)
		if s.Prompt() {
			t.Error("a held session is prompt")
		}
		s.Release()
		synctest.Wait()
		resume := d.stop()
		busy := mustOpen(t, s)
		go busy.Write(make([]byte, smallWindow)) // it stands still in the connection
		synctest.Wait()
		opened := 0
		for ; opened < 10*maxControl && s.Prompt(); opened++ {
			st := mustOpen(t, s)
			if err := st.WriteHeld([]byte("name")); err != nil {
				t.Fatal(err)
			}
			st.Reset()
		}
		if opened == 0 || opened > maxControl {
			t.Errorf("got %d substreams opened while the connection takes nothing, want some, at most %d", opened, maxControl)
		}
		resume()
		time.Sleep(time.Second)
		if !s.Prompt() {
			t.Error("not prompt again when all is written")
		}
	})
}

// TestPromptWithoutAcknowledgements: a peer that acknowledges no substream does not make an opener
// wait.
func TestPromptWithoutAcknowledgements(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := connect(t, true, Config{})
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 10 * backlog {
				for !s.Prompt() {
					time.Sleep(holdLimit)
				}
				mustOpen(t, s).Reset()
			}
		}()
		time.Sleep(time.Minute)
		select {
		case <-done:
		default:
			t.Error("an Open waits for the peer")
		}
	})
}

// TestResetEndsAWaitForTheConnection: a Write that waits for another substream's bytes ends when its
// own substream is reset.
func TestResetEndsAWaitForTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		resume := d.stop()
		busy := mustOpen(t, s)
		go busy.Write(make([]byte, smallWindow))
		synctest.Wait()
		for _, n := range []int{1, joinBelow, joinBelow + 1, MaxPiece, -1} {
			st, ended := mustOpen(t, s), make(chan error, 1)
			if n < 0 { // last, and with a full outbox
				for n = 1; !s.outbox.full(); {
					mustOpen(t, s).Reset()
				}
			}
			go func() {
				_, err := st.Write(make([]byte, n))
				ended <- err
			}()
			synctest.Wait()
			st.Reset()
			synctest.Wait()
			select {
			case err := <-ended:
				if !errors.Is(err, ErrClosed) {
					t.Errorf("%d bytes: got %v, want %v", n, err, ErrClosed)
				}
			default:
				t.Errorf("%d bytes: the Write waits for the connection after a reset", n)
			}
		}
		resume()
	})
}
