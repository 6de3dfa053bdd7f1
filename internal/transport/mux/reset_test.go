package mux

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A reset of the peer: the reader gets everything that had arrived, then an
// error that is not EOF.
//
// conforms: comms 68
func TestPeerResetKeepsBytes(t *testing.T) {
	for _, first := range []string{"read waits", "bytes wait"} {
		t.Run(first, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				st := mustOpen(t, s)
				type result struct {
					got []byte
					err error
				}
				done := make(chan result, 1)
				read := func() {
					got, err := io.ReadAll(st)
					done <- result{got, err}
				}
				if first == "read waits" {
					go read()
					synctest.Wait()
				}
				// The refusal of negotiation, and at once the reset.
				d.Data(flagACK, st.ID(), "\x00\x06")
				d.Send(typeData, flagRST, st.ID(), 0)
				synctest.Wait()
				if first == "bytes wait" {
					go read()
				}
				r := <-done
				if string(r.got) != "\x00\x06" {
					t.Errorf("got %x, want 0006", r.got)
				}
				wantErr(t, r.err, ErrReset)
				if got := s.NumStreams(); got != 0 {
					t.Errorf("got %d streams, want 0", got)
				}
				st.Close()
				synctest.Wait()
				if got := s.libraryStreams(); got != 0 {
					t.Errorf("got %d streams in the library after Close, want 0", got)
				}
				d.next() // SYN
				d.quiet()
			})
		})
	}
}

// A reset of the peer ends a Write that waits for the window, and every later
// one, at once.
//
// conforms: comms 68
func TestPeerResetWakesWriter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		done := make(chan error, 1)
		go func() {
			_, err := st.Write(make([]byte, 1<<20)) // the double grants nothing
			done <- err
		}()
		time.Sleep(time.Second)
		start := time.Now()
		d.Send(typeWindow, flagRST, st.ID(), 0)
		wantErr(t, <-done, ErrReset)
		if took := time.Since(start); took != 0 {
			t.Errorf("got the error after %v, want at once", took)
		}
		_, err := st.Write([]byte("x"))
		wantErr(t, err, ErrReset)
		wantErr(t, st.CloseWrite(), ErrReset)
	})
}

// The end of the peer's half and the answers to pings are in one order, whichever is looked
// at first. Only the first end counts.
//
// conforms: comms 147
func TestPeerEndedAmongPongs(t *testing.T) {
	for name, end := range map[string]func(d *double, id uint32){
		"FIN":                func(d *double, id uint32) { d.Send(typeData, flagFIN, id, 0) },
		"FIN behind a body":  func(d *double, id uint32) { d.Data(flagFIN, id, "last") },
		"FIN in a window":    func(d *double, id uint32) { d.Send(typeWindow, flagFIN, id, 0) },
		"reset":              func(d *double, id uint32) { d.Send(typeData, flagRST, id, 0) },
		"reset in a window":  func(d *double, id uint32) { d.Send(typeWindow, flagRST, id, 0) },
		"reset behind a FIN": func(d *double, id uint32) { d.Send(typeData, flagFIN, id, 0); d.Send(typeData, flagRST, id, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				st := mustOpen(t, s)
				d.Data(flagACK, st.ID(), "")
				pong := func() uint64 {
					t.Helper()
					pong, err := s.Ping()
					if err != nil {
						t.Fatal(err)
					}
					return pong.N
				}
				before := pong()
				if _, ended := st.PeerEnded(); ended {
					t.Fatal("got ended, want that the peer's half goes on")
				}
				end(d, st.ID())
				after := pong()
				if n, ended := st.PeerEnded(); !ended || n < before || n >= after {
					t.Errorf("got the end %v after %d pongs, want after pong %d and before pong %d", ended, n, before, after)
				}
				d.Send(typeData, flagRST, st.ID(), 0)
				pong()
				if n, _ := st.PeerEnded(); n != before {
					t.Errorf("after another reset: got the end after %d pongs, want after %d", n, before)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		pong, err := s.Ping()
		if err != nil {
			t.Fatal(err)
		}
		d.conn.Close()
		synctest.Wait()
		if n, ended := st.PeerEnded(); !ended || n != pong.N {
			t.Errorf("the connection has ended: got %v after %d pongs, want the end after %d", ended, n, pong.N)
		}
	})
}

// A reset after the peer's end reads as the end, and fails writes.
func TestPeerResetAfterFIN(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.Data(flagACK, st.ID(), "last")
		d.Send(typeData, flagFIN, st.ID(), 0)
		d.Send(typeData, flagRST, st.ID(), 0)
		synctest.Wait()
		mustRead(t, st, "last")
		d.next() // SYN
		_, err := st.Write([]byte("x"))
		wantErr(t, err, ErrReset)
		d.quiet()
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
		if _, err := s.Ping(); err != nil {
			t.Errorf("got %v, want a living session", err)
		}
	})
}

// A reset of ours in every state: the stream is gone from the count and from
// the library within 100 ms, blocked calls return, the peer is told once, and
// late frames change nothing.
//
// conforms: comms 69
func TestReset(t *testing.T) {
	states := map[string]func(d *double, st *Stream){
		"unacknowledged": func(d *double, st *Stream) {},
		"established":    func(d *double, st *Stream) { d.Send(typeWindow, flagACK, st.ID(), 0) },
		"our FIN":        func(d *double, st *Stream) { st.CloseWrite() },
		"their FIN":      func(d *double, st *Stream) { d.Send(typeData, flagACK|flagFIN, st.ID(), 0) },
		"unread":         func(d *double, st *Stream) { d.Data(0, st.ID(), strings.Repeat("x", 5000)) },
	}
	for name, prepare := range states {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				st := mustOpen(t, s)
				d.next()
				prepare(d, st)
				if name == "our FIN" {
					d.next()
				}
				synctest.Wait()
				read, write := make(chan error, 1), make(chan error, 1)
				if name != "their FIN" && name != "unread" {
					go func() {
						_, err := st.Read(make([]byte, 10))
						read <- err
					}()
				} else {
					read <- ErrClosed
				}
				if name != "our FIN" {
					go func() {
						_, err := st.Write(make([]byte, 300_000))
						write <- err
					}()
				} else {
					write <- ErrClosed
				}
				synctest.Wait()
				for n := 0; name != "our FIN" && n < smallWindow; {
					n += len(d.next().Body)
				}
				start := time.Now()
				if err := st.Reset(); err != nil {
					t.Fatal(err)
				}
				if got := s.NumStreams(); got != 0 {
					t.Errorf("got %d streams, want 0 at once", got)
				}
				wantErr(t, <-read, ErrClosed)
				wantErr(t, <-write, ErrClosed)
				synctest.Wait()
				if got := s.libraryStreams(); got != 0 {
					t.Errorf("got %d streams in the library, want 0", got)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("got the reset after %v, want at once", took)
				}
				d.expect(fmt.Sprintf("00 00 0008 %08x 00000000", st.ID()))

				// Late frames, which are legal, and repetitions, which are not.
				d.Data(flagACK, st.ID(), "late")
				d.Send(typeWindow, 0, st.ID(), 1000)
				d.Send(typeData, flagFIN, st.ID(), 0)
				d.Send(typeData, flagRST, st.ID(), 0)
				st.Reset()
				st.Close()
				if _, err := s.Ping(); err != nil {
					t.Errorf("got %v, want a living session", err)
				}
				d.next() // the ping
				d.quiet()
				if n, sl := s.unacknowledged(), s.slots(); n != 0 || sl != 0 {
					t.Errorf("got %d opens and %d slots in the library, want none", n, sl)
				}
				_, err := st.Read(make([]byte, 1))
				wantErr(t, err, ErrClosed)
				_, err = st.Write([]byte("x"))
				wantErr(t, err, ErrClosed)
				wantErr(t, st.CloseWrite(), ErrClosed)
			})
		})
	}
}

// A reset does not wait for a peer that reads nothing, nor for a frame that is
// cut in the middle. Count and writer are free at once.
//
// conforms: comms 69
func TestResetWhileStalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		streams := accept(s)
		st := mustOpen(t, s)
		d.Data(flagSYN, 2, "x")
		other := <-streams
		synctest.Wait()
		resume := d.stop()
		defer resume()
		d.conn.SetDeadline(time.Time{})
		// The peer reads one more frame and then nothing; it is in the middle
		// of sending one.
		h := newHeader(typeData, 0, 2, 100)
		d.Write(append(h[:], "cut"...))
		go other.Write(make([]byte, 200_000))
		synctest.Wait()
		write := make(chan error, 1)
		go func() {
			_, err := st.Write([]byte("waits for the connection"))
			write <- err
		}()
		read := make(chan error, 1)
		go func() {
			_, err := st.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		start := time.Now()
		st.Reset()
		other.Reset()
		wantErr(t, <-read, ErrClosed)
		if took := time.Since(start); took != 0 {
			t.Errorf("got Reset after %v, want at once", took)
		}
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
		d.Write(make([]byte, 97)) // the rest of the frame
		synctest.Wait()
		if got := s.libraryStreams(); got != 0 {
			t.Errorf("got %d streams in the library, want 0", got)
		}
		resume()
		wantErr(t, <-write, ErrClosed)
		resets := map[uint32]int{}
		if _, err := s.Ping(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, f := range d.rest() {
			if f.Flags()&flagRST != 0 {
				resets[f.ID()]++
			}
		}
		if resets[1] != 1 || resets[2] != 1 || len(resets) != 2 {
			t.Errorf("got resets %v, want one each of 1 and 2", resets)
		}
	})
}

// Reset under bulk traffic of other streams, both ways, over TCP and over Noise:
// their bytes stay whole.
//
// conforms: comms 69
func TestResetUnderBulk(t *testing.T) {
	for name, connect := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPair, "noise": noisePair} {
		t.Run(name, func(t *testing.T) {
			dropTimers()
			a, b := connect(t)
			resetUnderBulk(t, wrap(t, a, true, Config{}), wrap(t, b, false, Config{}))
		})
	}
}

func resetUnderBulk(t *testing.T, client, server *Session) {
	in := accept(server)
	bulk := mustOpen(t, client)
	echo := <-in
	go io.Copy(echo, echo)
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<15) // 512 KiB
	wrong := make(chan error, 1)
	go func() {
		for range 4 {
			if _, err := bulk.Write(payload); err != nil {
				wrong <- err
				return
			}
		}
		wrong <- bulk.CloseWrite()
	}()
	go func() {
		for st := range in {
			go io.Copy(io.Discard, st)
		}
	}()
	stop := make(chan struct{})
	resets := make(chan int, 1)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				resets <- n
				return
			default:
			}
			st, err := client.Open()
			if err != nil {
				t.Errorf("got open error %v, want a stream", err)
				resets <- n
				return
			}
			st.Write([]byte("dropped"))
			st.Reset()
		}
	}()
	got := make([]byte, len(payload))
	for i := range 4 {
		if _, err := io.ReadFull(bulk, got); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("got round %d with error %v and different bytes: %v", i, err, !bytes.Equal(got, payload))
		}
	}
	close(stop)
	if n := <-resets; n == 0 {
		t.Error("got no resets, want some")
	}
	if err := <-wrong; err != nil {
		t.Error(err)
	}
}

// A half-closed stream whose peer never ends is reset after CloseTimeout, and
// not before.
//
// conforms: comms 69
func TestHalfClosedTooLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		st.CloseWrite()
		d.next()
		d.next()
		read := make(chan error, 1)
		go func() {
			_, err := st.Read(make([]byte, 1))
			read <- err
		}()
		time.Sleep(5*time.Minute - time.Second)
		if got := s.NumStreams(); got != 1 {
			t.Errorf("got %d streams before 5 minutes, want 1", got)
		}
		start := time.Now()
		wantErr(t, <-read, ErrReset)
		if took := time.Since(start); took != time.Second {
			t.Errorf("got the reset after 4m59s + %v, want after 5m", took)
		}
		synctest.Wait()
		if got, lib := s.NumStreams(), s.libraryStreams(); got != 0 || lib != 0 {
			t.Errorf("got %d streams, %d in the library, want none", got, lib)
		}
		d.expect("00 00 0008 00000001 00000000")
	})
}
