package mux

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// No data frame is larger than a piece, whatever the peer's window and the size
// of the write; pieces leave together with their headers.
//
// conforms: comms 63
func TestPieces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		counted := &countedWrites{Conn: a}
		s, err := start(over(counted), true, Config{})
		if err != nil {
			t.Fatal(err)
		}
		d := newDouble(t, b)
		d.Mute(true)
		defer b.Close()
		defer s.Close()
		st := mustOpen(t, s)
		d.next()
		d.Send(typeWindow, flagACK, st.ID(), 64<<20)
		synctest.Wait()
		before := counted.n.Load()
		const size = 8 << 20
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(i * 7)
		}
		if n, err := st.Write(body); n != size || err != nil {
			t.Fatalf("got write %d, %v, want all", n, err)
		}
		var got []byte
		frames := 0
		for len(got) < size {
			f := d.next()
			if len(f.Body) > 65507 {
				t.Fatalf("got a data frame of %d bytes, want at most 65507", len(f.Body))
			}
			got = append(got, f.Body...)
			frames++
		}
		if !bytes.Equal(got, body) {
			t.Error("got other bytes than were written")
		}
		if want := (size + 65506) / 65507; frames != want {
			t.Errorf("got %d frames, want %d", frames, want)
		}
		if writes := int(counted.n.Load() - before); writes != frames {
			t.Errorf("got %d writes for %d frames, want one each", writes, frames)
		}
	})
}

type countedWrites struct {
	net.Conn
	n atomic.Int64
}

func (c *countedWrites) Write(b []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(b)
}

// An 8 MiB message to a peer that acknowledges late and grants half a window
// at a time, as rust-yamux does.
//
// conforms: comms 64
func TestLargeMessageToLazyPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.next()
		const size = 8 << 20
		done := make(chan error, 1)
		go func() {
			_, err := st.Write(make([]byte, size))
			done <- err
		}()
		flags := flagACK // with the first grant
		window := smallWindow
		for got, owed := 0, 0; got < size; {
			f := d.next()
			got, owed, window = got+len(f.Body), owed+len(f.Body), window-len(f.Body)
			if window < 0 || len(f.Body) > 1<<20 {
				t.Fatalf("got %d bytes, want no more than the window", len(f.Body))
			}
			if owed >= smallWindow/2 {
				time.Sleep(10 * time.Second)
				d.Send(typeWindow, flags, st.ID(), uint32(owed))
				flags, window, owed = 0, window+owed, 0
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s.Err() != nil {
			t.Errorf("got %v, want a living session", s.Err())
		}
	})
}

// A write that makes no progress for 120 s is reported, and nothing else
// happens; any progress starts the time anew.
func TestStalledWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		start := time.Now()
		go func() { // what a peer sends is no credit, and credit of nothing is none
			time.Sleep(50 * time.Second)
			d.Data(0, st.ID(), "data")
			time.Sleep(50 * time.Second)
			d.Send(typeWindow, 0, st.ID(), 0)
		}()
		n, err := st.Write(make([]byte, 1<<20))
		wantErr(t, err, ErrStalled)
		if n != smallWindow {
			t.Errorf("got %d bytes, want the window", n)
		}
		if took := time.Since(start); took != 120*time.Second {
			t.Errorf("got the error after %v, want 120s", took)
		}
		if s.Err() != nil || s.NumStreams() != 1 {
			t.Errorf("got %v and %d streams, want a living session with its stream", s.Err(), s.NumStreams())
		}
		start = time.Now()
		go func() {
			for range 5 {
				time.Sleep(100 * time.Second)
				d.Send(typeWindow, 0, st.ID(), 10)
			}
		}()
		n, err = st.Write(make([]byte, 1000))
		wantErr(t, err, ErrStalled)
		if took := time.Since(start); n != 50 || took != 620*time.Second {
			t.Errorf("got %d bytes after %v, want 50 after 620s", n, took)
		}
		d.Send(typeWindow, 0, st.ID(), 1000)
		mustWrite(t, st, "goes on")
	})
}

// The caller's deadline ends a write, and only that.
func TestWriteDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		st.SetWriteDeadline(time.Now().Add(10 * time.Second))
		start := time.Now()
		n, err := st.Write(make([]byte, 1<<20))
		wantErr(t, err, os.ErrDeadlineExceeded)
		if took := time.Since(start); took != 10*time.Second || n != smallWindow {
			t.Errorf("got %d bytes after %v, want the window after 10s", n, took)
		}
		d.Send(typeWindow, flagACK, st.ID(), 100)
		synctest.Wait()
		_, err = st.Write([]byte("x")) // there is room, but the time is over
		wantErr(t, err, os.ErrDeadlineExceeded)
		st.SetWriteDeadline(time.Time{})
		mustWrite(t, st, "on")

		// Set while a write waits.
		done := make(chan error, 1)
		go func() {
			_, err := st.Write(make([]byte, 1000))
			done <- err
		}()
		time.Sleep(30 * time.Second)
		start = time.Now()
		st.SetWriteDeadline(start.Add(5 * time.Second))
		wantErr(t, <-done, os.ErrDeadlineExceeded)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("got the error after %v, want 5s", took)
		}
		// Extended while a write waits.
		go func() {
			_, err := st.Write(make([]byte, 1000))
			done <- err
		}()
		st.SetWriteDeadline(time.Now().Add(5 * time.Second))
		synctest.Wait()
		start = time.Now()
		st.SetWriteDeadline(start.Add(50 * time.Second))
		wantErr(t, <-done, os.ErrDeadlineExceeded)
		if took := time.Since(start); took != 50*time.Second {
			t.Errorf("got the error after %v, want 50s", took)
		}
	})
}

// Reads have no deadline: an idle substream lives as long as its connection.
func TestIdleStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		go func() {
			time.Sleep(72 * time.Hour)
			d.Data(flagACK, st.ID(), "good morning")
		}()
		mustRead(t, st, "good morning")
	})
}

func TestWriteAfterCloseWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		for range 2 {
			if err := st.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		_, err := st.Write([]byte("x"))
		wantErr(t, err, ErrClosed)
		d.next()
		d.expect("00 00 0004 00000001 00000000")
		d.quiet()
		d.Data(flagACK, st.ID(), "still read")
		mustRead(t, st, "still read")
		if n, err := st.Write(nil); n != 0 || err != nil {
			t.Errorf("got %d, %v for no bytes, want 0, nil", n, err)
		}
	})
}

// choppy delivers reads and takes writes in small pieces.
type choppy struct {
	net.Conn
	mu  sync.Mutex
	rnd *rand.Rand
}

func (c *choppy) cut(b []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rnd.IntN(3) > 0 {
		return b
	}
	return b[:min(len(b), 1+c.rnd.IntN(40))]
}

func (c *choppy) Read(b []byte) (int, error) { return c.Conn.Read(c.cut(b)) }

// What goes in comes out, both ways on several streams at once, for writes and
// reads of any size over a connection that delivers in pieces.
func TestBytesInAreBytesOut(t *testing.T) {
	dropTimers()
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		streams := rapid.IntRange(1, 4).Draw(t, "streams")
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 64), rapid.IntRange(1, 200_000)), 1, 8).Draw(t, "sizes")
		a, b := net.Pipe()
		rnd := func(k uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, k)) }
		client, err := start(over(&choppy{Conn: a, rnd: rnd(1)}), true, Config{Window: smallWindow})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := start(over(&choppy{Conn: b, rnd: rnd(2)}), false, Config{Window: smallWindow})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
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
		var wg sync.WaitGroup
		total := 0
		for _, n := range sizes {
			total += n
		}
		for i := range streams {
			st, err := client.Open()
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, total)
			r := rnd(uint64(10 + i))
			for j := range body {
				body[j] = byte(r.Uint32())
			}
			wg.Go(func() {
				rest := body
				for _, n := range sizes {
					if k, err := st.Write(rest[:n]); k != n || err != nil {
						t.Errorf("got write %d, %v, want %d", k, err, n)
					}
					rest = rest[n:]
				}
				if err := st.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				got, err := io.ReadAll(st)
				if !bytes.Equal(got, body) || err != nil {
					t.Errorf("got %d bytes, %v, want the %d that were written", len(got), err, total)
				}
			})
		}
		wg.Wait()
		if got := client.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
		if in, out := client.Stats().BytesIn, server.Stats().BytesOut; in == 0 || out == 0 {
			t.Errorf("got %d bytes in and %d out, want some", in, out)
		}
	})
}

// A short write of the connection is a failed one.
func TestShortWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		s, err := start(over(shortWrites{a}), true, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		defer b.Close()
		go io.Copy(io.Discard, b)
		st, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		_, err = st.Write([]byte("x"))
		wantErr(t, err, ErrSessionEnded)
		<-s.Done()
		if !errors.Is(s.Err(), io.ErrShortWrite) {
			t.Errorf("got %v, want a short write", s.Err())
		}
	})
}

type shortWrites struct{ net.Conn }

func (c shortWrites) Write(b []byte) (int, error) { return c.Conn.Write(b[:len(b)/2]) }
