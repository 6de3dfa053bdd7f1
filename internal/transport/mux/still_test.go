package mux

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// stand makes the double read nothing more, and starts a write on a new
// substream that the connection does not take until resume.
func stand(t *testing.T, s *Session, d *double, size int) (resume func(), written <-chan error) {
	t.Helper()
	st := mustOpen(t, s)
	d.next()
	resume = d.stop()
	done := make(chan error, 1)
	go func() {
		_, err := st.Write(make([]byte, size))
		done <- err
	}()
	time.Sleep(time.Second)
	if s.WriteBlocked() == 0 {
		t.Fatal("got a connection that takes the write, want one that does not")
	}
	return resume, done
}

// While our writes stand still, a substream of the peer is accepted and read, also beyond the
// quarter of its window with which it gets credit. What was to be written meanwhile leaves in its
// order when the peer reads again.
func TestReadsWhileWritesStandStill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{Window: smallWindow})
		in := accept(s)
		resume, written := stand(t, s, d, 200_000)
		for _, id := range []uint32{2, 4} {
			d.Data(flagSYN, id, "hello")
			synctest.Wait()
			select {
			case st := <-in:
				mustRead(t, st, "hello")
				d.Data(0, id, string(make([]byte, 200_000)))
				if n, err := io.CopyN(io.Discard, st, 200_000); err != nil {
					t.Errorf("got %d bytes, %v, want 200000", n, err)
				}
			default:
				t.Fatal("got no substream while our writes stand still, want it accepted")
			}
		}
		if s.WriteBlocked().Truncate(time.Millisecond) != time.Second {
			t.Errorf("got writes blocked for %v, want 1s all this time", s.WriteBlocked())
		}
		resume()
		if err := <-written; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		acks, credit, data := 0, uint32(0), 0
		for data < 200_000 || acks < 2 || credit < smallWindow { // half a window each
			f := d.next()
			switch {
			case f.Type() == typeData:
				data += len(f.Body)
			case f.Flags()&flagACK != 0:
				acks++
			case f.Type() == typeWindow:
				credit += f.Length()
			}
		}
		if acks != 2 {
			t.Errorf("got %d acknowledgements, want 2", acks)
		}
	})
}

// Many substreams with something to write at once do not keep the peer from being heard on a
// connection that stands still. What is large waits where it is; only small frames are copied.
// Each byte leaves afterwards.
func TestManyWritersStandStill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		in := accept(s)
		const writers, size, small = 80, 20_000, 100
		var streams []*Stream
		for range writers {
			streams = append(streams, mustOpen(t, s))
			d.next()
		}
		resume := d.stop()
		done := make(chan error, writers)
		for _, st := range streams {
			go func() {
				_, err := st.Write(bytes.Repeat([]byte{byte(st.ID())}, size-small))
				if err == nil {
					_, err = st.Write(bytes.Repeat([]byte{byte(st.ID())}, small))
				}
				done <- err
			}()
		}
		synctest.Wait()
		// A large frame that the connection has taken already has its small one behind it.
		if got := s.outbox.waiting(); got >= size-small {
			t.Errorf("got %d bytes that wait below the writers, want none of large frames", got)
		}
		d.Data(flagSYN, 2, "hello")
		synctest.Wait()
		select {
		case st := <-in:
			mustRead(t, st, "hello")
		default:
			t.Fatal("got no substream while our writes stand still, want it accepted")
		}
		resume()
		for range writers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		got := map[uint32]int{}
		for total := 0; total < writers*size; {
			f := d.next()
			for _, b := range f.Body {
				if want := byte(f.ID()); b != want {
					t.Fatalf("got a byte %d on substream %d, want %d", b, f.ID(), want)
				}
			}
			got[f.ID()] += len(f.Body)
			total += len(f.Body)
		}
		for _, st := range streams {
			if got[st.ID()] != size {
				t.Errorf("got %d bytes of substream %d, want %d", got[st.ID()], st.ID(), size)
			}
		}
	})
}

// A peer that opens substreams and drops them, and reads none of our
// acknowledgements, makes no more than maxControl of them wait. When it reads within a
// second, it gets them all, but for those of substreams that were dropped before they were
// accepted; else the session ends.
func TestUnreadAcknowledgements(t *testing.T) {
	for _, tooMany := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			s, d := connect(t, false, Config{})
			s.Handle(func(*Stream) {}, func(error) {})
			resume, written := stand(t, s, d, 2*MaxPiece)
			for i := range maxControl {
				d.Send(typeWindow, flagSYN, uint32(2*i+1), 0)
				synctest.Wait() // it is accepted
				d.Send(typeData, flagRST, uint32(2*i+1), 0)
				synctest.Wait()
			}
			if tooMany {
				d.Send(typeWindow, flagSYN, 2*maxControl+1, 0)
				synctest.Wait()
			}
			s.outbox.mu.Lock()
			if got := len(s.outbox.queue.own); got != maxControl*headerLen {
				t.Errorf("got %d bytes that wait, want %d", got, maxControl*headerLen)
			}
			s.outbox.mu.Unlock()
			if s.Err() != nil {
				t.Errorf("got %v, want a living session", s.Err())
			}
			if tooMany {
				time.Sleep(holdBack)
				synctest.Wait()
				wantErr(t, s.Err(), errBusy)
				return
			}
			resume()
			if err := <-written; err != nil {
				t.Error(err)
			}
			synctest.Wait()
			acked := 0
			for _, f := range d.rest() {
				if f.Type() != typeWindow {
					continue // what was written meanwhile
				}
				if want := uint32(2*acked + 1); f.ID() != want {
					t.Fatalf("got the window of %d, want that of %d", f.ID(), want)
				}
				acked++
			}
			if acked != maxControl {
				t.Errorf("got %d windows, want %d", acked, maxControl)
			}
		})
	}
}

// An acknowledgement that finds no room ends the session at once, although the peer neither reads
// nor sends anything.
func TestAcknowledgementWithoutRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		stand(t, s, d, 2*MaxPiece)
		d.Send(typeWindow, flagSYN, 1, 0)
		synctest.Wait()
		for range maxControl {
			if err := s.outbox.send(s, newHeader(typeData, flagRST, 99, 0)); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error)
		s.Handle(func(*Stream) {}, func(err error) { go func() { ended <- err }() })
		start := time.Now()
		wantErr(t, <-ended, errBusy)
		<-s.Done()
		if took := time.Since(start); took != 0 {
			t.Errorf("got the end after %v, want at once", took)
		}
	})
}
