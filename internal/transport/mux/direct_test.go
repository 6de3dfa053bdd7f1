package mux

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// full is a connection whose TryWrite never finds room, so that every frame that is written
// directly is left to the flush of its caller. The sessions of [connect] stand on one.
type full struct {
	net.Conn
	left  []byte
	tries atomic.Int64
}

func (f *full) CanTry() bool { return true }

func (f *full) TryWrite(b []byte) (left bool, err error) {
	f.tries.Add(1)
	if f.left != nil {
		return false, errors.New("a second frame before the rest of the first")
	}
	f.left = bytes.Clone(b)
	return true, nil
}

func (f *full) Flush() (err error) {
	if f.left != nil {
		_, err = f.Conn.Write(f.left)
		f.left = nil
	}
	return err
}

func (f *full) Write(b []byte) (int, error) {
	if err := f.Flush(); err != nil {
		return 0, err
	}
	return f.Conn.Write(b)
}

// TestDirect: the frames of a substream that writes alone are written by the library's
// goroutine at once, those of substreams in turn are gathered first, and none after a frame
// that waits.
func TestDirect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := net.Pipe()
		conn := &full{Conn: x}
		s, other := wrap(t, conn, true, Config{}), wrap(t, y, false, Config{})
		in := accept(other)
		open := func() (st, peer *Stream) {
			st = mustOpen(t, s)
			mustWrite(t, st, "first") // takes the SYN along
			peer = <-in
			mustRead(t, peer, "first")
			return st, peer
		}
		a, atA := open()
		b, atB := open()
		tries := func(what string, want int64) {
			t.Helper()
			synctest.Wait()
			if got := conn.tries.Swap(0); got != want {
				t.Errorf("%s: got %d frames written directly, want %d", what, got, want)
			}
		}
		tries("with their SYN", 0)
		for range 10 {
			mustWrite(t, b, "alone")
			mustRead(t, atB, "alone")
		}
		tries("alone", 10)
		mustWrite(t, a, "in turn")
		mustRead(t, atA, "in turn")
		tries("in turn", 0)
		if _, err := s.Ping(); err != nil { // behind what waits, and answered
			t.Error(err)
		}
	})
}

// TestDirectKeepsOrder has many substreams write over a connection of Noise on TCP while
// others open, close and ping. Each reads its own bytes.
func TestDirectKeepsOrder(t *testing.T) {
	x, y := noisePair(t)
	client, server := wrap(t, x, true, Config{}), wrap(t, y, false, Config{})
	if client.link.writer.try == nil || server.link.writer.try == nil {
		t.Skip("this system cannot write without waiting")
	}
	go func() {
		for {
			st, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(st, st)
				st.CloseWrite()
			}()
		}
	}()
	const each, size = 40, 100_000
	errs := make(chan error)
	for range 8 {
		go func() {
			errs <- func() error {
				for i := range each {
					st, err := client.OpenContext(t.Context())
					if err != nil {
						return err
					}
					want := make([]byte, 1+i*size/each)
					rand.Read(want)
					go func() {
						for rest := want; len(rest) > 0; {
							n := min(len(rest), 1+len(rest)/3)
							st.Write(rest[:n])
							rest = rest[n:]
						}
						st.CloseWrite()
					}()
					got, err := io.ReadAll(st)
					if err != nil {
						return err
					}
					if !bytes.Equal(got, want) {
						return errors.New("got other bytes than were written")
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestDirectNeverWaits: a peer that reads nothing does not keep the library's goroutine in a
// write, so that what the peer opens is accepted.
func TestDirectNeverWaits(t *testing.T) {
	x, peer := noisePair(t)
	s := wrap(t, x, true, Config{})
	if s.link.writer.try == nil {
		t.Skip("this system cannot write without waiting")
	}
	in := accept(s)
	st := mustOpen(t, s)
	mustWrite(t, st, "first")
	frame := func(kind uint8, flags uint16, id, length uint32, body string) {
		h := newHeader(kind, flags, id, length)
		mustWrite(t, peer, string(h[:])+body)
	}
	frame(typeWindow, flagACK, 1, 1<<30, "")
	stalled := make(chan error)
	go func() {
		var err error
		for err == nil {
			_, err = st.Write(make([]byte, 50_000))
		}
		stalled <- err
	}()
	for s.WriteBlocked() < 100*time.Millisecond {
		time.Sleep(10 * time.Millisecond)
	}
	frame(typeData, flagSYN, 2, 5, "heard")
	mustRead(t, <-in, "heard")
	s.Close()
	wantErr(t, <-stalled, ErrClosed)
}
