package mux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// The end of a connection, whatever way it comes: all substreams end, what had
// arrived is delivered, and no reader takes it for EOF.
//
// conforms: comms 67, 68, 151
func TestEnd(t *testing.T) {
	ends := map[string]struct {
		end  func(d *double)
		want func(error) bool
	}{
		"close": {func(d *double) { d.conn.Close() }, func(err error) bool { return errors.Is(err, ErrHungUp) }},
		"inside a header": {
			func(d *double) { d.Write([]byte{0, 0, 0}); d.conn.Close() },
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) },
		},
		"inside a body": {func(d *double) {
			h := newHeader(typeData, 0, 1, 10)
			d.Write(append(h[:], "half"...))
			d.conn.Close()
		}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"goodbye":        {func(d *double) { d.Send(typeGoAway, 0, 0, 0) }, goAway(0)},
		"protocol error": {func(d *double) { d.Send(typeGoAway, 0, 0, 1) }, goAway(1)},
		"internal error": {func(d *double) { d.Send(typeGoAway, 0, 0, 2) }, goAway(2)},
		"unknown code":   {func(d *double) { d.Send(typeGoAway, 0, 0, 99) }, goAway(99)},
	}
	for name, test := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				end := make(chan error, 1)
				go func() {
					_, err := s.Accept()
					end <- err
				}()
				waiting, unread, finished, writing := mustOpen(t, s), mustOpen(t, s), mustOpen(t, s), mustOpen(t, s)
				wait := make(chan error, 2)
				go func() {
					_, err := waiting.Read(make([]byte, 1))
					wait <- err
				}()
				go func() {
					_, err := writing.Write(make([]byte, 1<<20))
					wait <- err
				}()
				d.Data(flagACK, unread.ID(), "had arrived")
				d.Data(flagACK, finished.ID(), "complete")
				d.Send(typeData, flagFIN, finished.ID(), 0)
				synctest.Wait()
				if s.Err() != nil {
					t.Fatalf("got error %v before the end, want none", s.Err())
				}
				start := time.Now()
				test.end(d)
				<-s.Done()
				if took := time.Since(start); took != 0 {
					t.Errorf("got the end after %v, want at once", took)
				}
				for range 2 {
					err := <-wait
					if err == nil && name == "inside a body" {
						continue // the reader got half
					}
					wantErr(t, err, ErrSessionEnded)
					if errors.Is(err, protocol.ErrUnsent) {
						t.Errorf("got %v of a read, or a write under way", err)
					}
					if errors.Is(err, io.EOF) {
						t.Errorf("got %v, which looks like EOF", err)
					}
				}
				got, err := io.ReadAll(unread)
				if string(got) != "had arrived" {
					t.Errorf("got %q, want had arrived", got)
				}
				wantErr(t, err, ErrSessionEnded)
				if got, err := io.ReadAll(finished); string(got) != "complete" || err != nil {
					t.Errorf("got %q, %v, want complete", got, err)
				}
				if err := <-end; !test.want(err) || !errors.Is(err, ErrSessionEnded) {
					t.Errorf("got accept error %v, want the cause", err)
				}
				if err := s.Err(); !test.want(err) {
					t.Errorf("got %v, want the cause", err)
				}
				_, err = s.Open()
				wantErr(t, err, ErrSessionEnded)
				_, err = s.Ping()
				wantErr(t, err, ErrSessionEnded)
				wantErr(t, s.GoAway(), ErrSessionEnded)
				_, err = unread.Write([]byte("x"))
				wantErr(t, err, ErrSessionEnded)
				wantErr(t, err, protocol.ErrUnsent)
				wantErr(t, unread.CloseWrite(), ErrSessionEnded)
				unread.Close()
			})
		})
	}
}

func goAway(code uint32) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*GoAwayError](err)
		return ok && e.Code == code
	}
}

// Twenty substreams with 5,000 bytes each and at once the end: every one
// reaches the acceptor with all its bytes.
//
// conforms: comms 151, 152
func TestEndLosesNothing(t *testing.T) {
	const streams, size, rounds = 20, 5000, 50
	body := bytes.Repeat([]byte("gamelan "), size/8)
	ends := map[string]func(c net.Conn){
		"close":      func(c net.Conn) { c.Close() },
		"half-close": func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"goodbye": func(c net.Conn) {
			h := newHeader(typeGoAway, 0, 0, 0)
			c.Write(h[:])
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for round := range rounds {
				a, b := tcpPair(t)
				go io.Copy(io.Discard, a) // or its close would be a TCP reset
				s, err := New(over(b), false, Config{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				s.Release()
				var out []byte
				for i := range streams {
					h := newHeader(typeData, flagSYN, uint32(2*i+1), size)
					out = append(append(out, h[:]...), body...)
				}
				a.Write(out)
				end(a)
				got := 0
				for st := range accept(s) {
					read, err := io.ReadAll(st)
					if !bytes.Equal(read, body) {
						t.Fatalf("round %d: got %d bytes of stream %d, want %d", round, len(read), st.ID(), size)
					}
					wantErr(t, err, ErrSessionEnded)
					got++
				}
				if got != streams {
					t.Fatalf("round %d: got %d streams, want %d", round, got, streams)
				}
				s.Close()
				a.Close()
			}
		})
	}
}

// A failed write does not stop the reading of what had arrived.
//
// conforms: comms 151, 152
func TestReadOnAfterFailedWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		broken := &brokenWrites{Conn: a}
		s, err := start(over(broken), false, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st := mustOpenDiscard(t, s, b)
		broken.on.Store(true)
		_, err = st.Write([]byte("lost"))
		wantErr(t, err, ErrSessionEnded)
		_, err = s.Open()
		wantErr(t, err, ErrSessionEnded)
		// The connection still delivers.
		for id := uint32(1); id < 20; id += 2 {
			h := newHeader(typeData, flagSYN, id, 5)
			b.Write(append(h[:], "hello"...))
			in, err := s.Accept()
			if err != nil {
				t.Fatalf("got %v, want stream %d", err, id)
			}
			mustRead(t, in, "hello")
		}
		start := time.Now()
		<-s.Done()
		if took := time.Since(start); took != time.Second {
			t.Errorf("got the end after %v, want 1s", took)
		}
		wantErr(t, s.Err(), errBroken)
	})
}

// lastWords gives its last bytes together with the end.
type lastWords struct {
	net.Conn
	words []byte
}

func (c *lastWords) Read(p []byte) (int, error) {
	n := copy(p, c.words)
	if c.words = c.words[n:]; len(c.words) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// A connection may give the last bytes and its end in one Read.
//
// conforms: comms 151
func TestLastBytesWithTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		go io.Copy(io.Discard, b)
		defer b.Close()
		h := newHeader(typeData, flagSYN, 2, 4)
		s, err := start(over(&lastWords{a, append(h[:], "last"...)}), true, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(st)
		if string(got) != "last" {
			t.Errorf("got %q, want last", got)
		}
		wantErr(t, err, ErrSessionEnded)
	})
}

var errBroken = errors.New("broken")

type brokenWrites struct {
	net.Conn
	on atomic.Bool
}

func (c *brokenWrites) Write(b []byte) (int, error) {
	if c.on.Load() {
		return 0, errBroken
	}
	return c.Conn.Write(b)
}

func mustOpenDiscard(t *testing.T, s *Session, peer net.Conn) *Stream {
	go io.Copy(io.Discard, peer)
	return mustOpen(t, s)
}

// A connection that takes nothing ends the session after WriteTimeout, with an
// error that no writer takes for its own deadline.
func TestWriteTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		synctest.Wait()
		d.stop()
		start := time.Now()
		time.AfterFunc(20*time.Second, func() {
			if got := s.WriteBlocked(); got != 20*time.Second {
				t.Errorf("got a write blocked for %v, want 20s", got)
			}
		})
		_, err := io.Copy(st, io.LimitReader(zeros{}, 1<<20))
		wantErr(t, err, ErrSessionEnded)
		wantErr(t, err, ErrWriteTimeout)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, which looks like the caller's deadline", err)
		}
		if took := time.Since(start); took < time.Minute || took > 61*time.Second {
			t.Errorf("got the error after %v, want 60s", took)
		}
		<-s.Done()
		if took := time.Since(start); took > 61*time.Second {
			t.Errorf("got the end after %v, want at most 61s", took)
		}
		if got := s.WriteBlocked(); got != 0 {
			t.Errorf("after the end: got a write blocked for %v, want none", got)
		}
	})
}

// cutWire fails every Write once it is cut, and still reads.
type cutWire struct {
	net.Conn
	cut atomic.Bool
}

var errWire = errors.New("wire cut")

func (c *cutWire) Write(b []byte) (int, error) {
	if c.cut.Load() {
		return 0, errWire
	}
	return c.Conn.Write(b)
}

// A failed write says more than the hang-up that follows it, but nothing about
// an end that was asked for.
func TestCauseAfterAFailedWrite(t *testing.T) {
	for _, closed := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			a, b := net.Pipe()
			wire := &cutWire{Conn: a}
			s, err := start(over(wire), true, Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			st := mustOpenDiscard(t, s, b)
			wire.cut.Store(true)
			st.Write([]byte("never arrives"))
			synctest.Wait()
			want := errWire
			if closed {
				want = ErrClosed
				s.Close()
			}
			b.Close()
			<-s.Done()
			wantErr(t, s.Err(), ErrSessionEnded)
			wantErr(t, s.Err(), want)
			if closed == errors.Is(s.Err(), errWire) || errors.Is(s.Err(), ErrHungUp) {
				t.Errorf("closed by us %v: got %v, want only %v", closed, s.Err(), want)
			}
			if _, err := st.Write([]byte("later")); err == nil {
				t.Error("got no error of a write after the end")
			}
		})
	}
}

// Pings of ours that pile up because nothing leaves end the session, and each of
// them with its cause.
func TestPingsThatDoNotLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		mustOpen(t, s)
		synctest.Wait()
		d.Mute(true)
		d.stop()
		failed := make(chan error, maxControl+10)
		for range cap(failed) {
			go func() {
				_, err := s.Ping()
				failed <- err
			}()
			synctest.Wait()
		}
		select {
		case <-s.Done():
		default:
			t.Fatalf("got a living session with %d pings that wait, want at most %d", cap(failed), maxControl)
		}
		wantErr(t, s.Err(), errBusy)
		for range cap(failed) {
			wantErr(t, <-failed, ErrSessionEnded)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Substreams that the peer opened before the end are passed on before it, to Accept and to the
// functions of Handle, however late they are asked for.
//
// conforms: comms 152
func TestOpenedBeforeTheEnd(t *testing.T) {
	takers := map[string]func(s *Session) ([]*Stream, error){
		"Accept": func(s *Session) (all []*Stream, err error) {
			for {
				st, err := s.Accept()
				if err != nil {
					return all, err
				}
				all = append(all, st)
			}
		},
		"Handle": func(s *Session) (all []*Stream, err error) {
			ended := make(chan error, 2)
			s.Handle(func(st *Stream) { all = append(all, st) }, func(err error) { ended <- err })
			err = <-ended
			synctest.Wait()
			if len(ended) > 0 {
				t.Error("got the end twice")
			}
			return all, err
		},
	}
	for how, take := range takers {
		for _, cut := range []string{"at a boundary", "in a body", "in a header"} {
			for _, delay := range []time.Duration{-1, 0, time.Hour} {
				t.Run(fmt.Sprintf("%s %s, %v later", how, cut, delay), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						s, d := connect(t, false, Config{})
						var streams []*Stream
						var err error
						taken := make(chan struct{})
						go func() {
							defer close(taken)
							time.Sleep(delay)
							streams, err = take(s)
						}()
						if delay < 0 {
							synctest.Wait() // it waits
						}
						d.Data(flagSYN, 1, "first")
						d.Data(flagSYN, 3, "second")
						switch cut {
						case "in a body":
							h := newHeader(typeData, 0, 3, 100)
							d.Write(append(h[:], " half"...))
						case "in a header":
							d.Write([]byte{0, 0, 0, 0, 0, 0})
						}
						d.conn.Close()
						<-taken
						wantErr(t, err, ErrSessionEnded)
						if len(streams) != 2 {
							t.Fatalf("got %d substreams, want 2", len(streams))
						}
						for i, want := range []string{"first", "second"} {
							if cut == "in a body" && i == 1 {
								want += " half"
							}
							got, err := io.ReadAll(streams[i])
							if string(got) != want {
								t.Errorf("got %q, want %q", got, want)
							}
							wantErr(t, err, ErrSessionEnded)
						}
					})
				})
			}
		}
	}
}

// A substream is handed over with the bytes that came in one piece with its SYN, and in the
// order of the wire, also while its owner changes from Accept to Handle.
func TestHandle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		open := func(ids ...uint32) {
			var piece []byte
			for _, id := range ids {
				h := newHeader(typeData, flagSYN, id, 4)
				piece = append(append(piece, h[:]...), "name"...)
			}
			d.Write(piece)
		}
		open(1, 3, 5)
		synctest.Wait()
		first, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ids := []uint32{first.ID()}
		s.Handle(func(st *Stream) {
			ids = append(ids, st.ID())
			if n, ok := st.TryRead(make([]byte, 5)); n != 4 || !ok {
				t.Errorf("got %d bytes of substream %d when it is handed over, want 4", n, st.ID())
			}
		}, func(error) {})
		synctest.Wait()
		var want []uint32
		for id := uint32(7); id < 7+2*40; id += 2 {
			want = append(want, id)
		}
		open(want...)
		synctest.Wait()
		if want = append([]uint32{1, 3, 5}, want...); !slices.Equal(ids, want) {
			t.Errorf("got substreams %v, want %v", ids, want)
		}
		if n := s.libraryStreams(); n != 0 {
			t.Errorf("got %d substreams in the library, want none", n)
		}
	})
}

// The owner of a session hears of its end once, however it comes and whenever it begins to
// listen.
func TestHandleEnds(t *testing.T) {
	ends := map[string]func(s *Session, d *double){
		"Close":      func(s *Session, _ *double) { s.Close() },
		"hung up":    func(_ *Session, d *double) { d.conn.Close() },
		"an offence": func(_ *Session, d *double) { d.Write([]byte{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}) },
		"in a frame that opens too much": func(_ *Session, d *double) {
			h := newHeader(typeData, flagSYN, 1, initialWindow+1)
			d.Write(h[:])
		},
	}
	for name, end := range ends {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", late ", late), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s, d := connect(t, false, Config{})
					errs := make(chan error, 2)
					handle := func() { s.Handle(func(*Stream) {}, func(err error) { errs <- err }) }
					if !late {
						handle()
					}
					end(s, d)
					synctest.Wait()
					if late {
						handle()
					}
					if err := <-errs; err != s.Err() || err == nil {
						t.Errorf("got %v, want %v", err, s.Err())
					}
					s.Close()
					if len(errs) > 0 {
						t.Errorf("got %v as a second end", <-errs)
					}
				})
			})
		}
	}
}

// Close returns at once: with a peer that reads nothing, with a substream that nobody
// accepts, in the middle of a frame, with callers in every method. Nothing of the
// session is left: the bubble would not end.
func TestCloseAtOnce(t *testing.T) {
	situations := map[string]func(t *testing.T, s *Session, d *double){
		"idle": func(*testing.T, *Session, *double) {},
		"peer reads nothing": func(t *testing.T, s *Session, d *double) {
			streams := []*Stream{mustOpen(t, s), mustOpen(t, s), mustOpen(t, s)}
			ending := mustOpen(t, s)
			synctest.Wait()
			d.stop()
			for _, st := range streams {
				go st.Write(make([]byte, 100_000))
				go s.Open()
				go s.Ping()
				go s.GoAway()
			}
			go ending.CloseWrite()
		},
		"nobody accepts": func(t *testing.T, s *Session, d *double) {
			d.Data(flagSYN, 2, "hello?")
			d.conn.Close()
		},
		"inside a frame": func(t *testing.T, s *Session, d *double) {
			h := newHeader(typeData, flagSYN, 2, 100)
			d.Write(append(h[:], "cut"...))
		},
		"callers": func(t *testing.T, s *Session, d *double) {
			d.Mute(true)
			st := mustOpen(t, s)
			half := mustOpen(t, s)
			half.CloseWrite() // a timer of five minutes
			go st.Read(make([]byte, 1))
			go st.Write(make([]byte, 1<<20))
			go s.Accept()
			go s.Ping()
			st2 := mustOpen(t, s)
			go st2.Read(make([]byte, 1))
			st2.Reset()
		},
	}
	for name, situation := range situations {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				situation(t, s, d)
				synctest.Wait()
				start := time.Now()
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("got Close after %v, want at once", took)
				}
				select {
				case <-s.Done():
				default:
					t.Error("got a living session after Close")
				}
				wantErr(t, s.Err(), ErrSessionEnded)
				if name != "nobody accepts" {
					wantErr(t, s.Err(), net.ErrClosed)
				}
				s.Close()
			})
		})
	}
}

// Close sends no GoAway; GoAway sends one, once everything before it is
// written, and refuses what the peer opens afterwards.
//
// conforms: comms 66
func TestGoAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		mustWrite(t, st, "last words")
		st.CloseWrite()
		d.Send(typeData, flagACK|flagFIN, st.ID(), 0)
		if err := s.GoAway(); err != nil {
			t.Fatal(err)
		}
		d.expect("00 01 0001 00000001 000c0000")
		d.expect("00 00 0000 00000001 0000000a 6c61737420776f726473")
		d.expect("00 00 0004 00000001 00000000")
		d.expect("00 03 0000 00000000 00000000")
		_, err := s.Open()
		wantErr(t, err, ErrGoingAway)
		d.Data(flagSYN, 2, "too late")
		d.Data(0, 2, "and more")
		d.expect("00 00 0008 00000002 00000000")
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
		s.Close()

		s, d = connect(t, false, Config{})
		s.Close()
		d.quiet()
	})
}

// GoAway is the last that leaves of our own accord: the peer closes when it reads
// it, and a ping behind it would make a reset of that on a TCP socket.
func TestNoPingAfterGoAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		if _, err := s.Ping(); err != nil {
			t.Fatal(err)
		}
		d.expect("00 02 0001 00000000 00000000")
		if err := s.GoAway(); err != nil {
			t.Fatal(err)
		}
		_, err := s.Ping()
		wantErr(t, err, ErrGoingAway)
		d.expect("00 03 0000 00000000 00000000")
		d.quiet()
		if err := s.Err(); err != nil {
			t.Errorf("got %v, want the session alive until it is closed", err)
		}
	})
	// Nor one that is asked for while GoAway waits behind what the peer does not
	// read.
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.next()
		resume := d.stop()
		mustWrite(t, st, "read before the pause is seen")
		go st.Write([]byte("not read"))
		synctest.Wait()
		go s.Ping()
		synctest.Wait()
		go s.GoAway()
		synctest.Wait()
		go s.Ping()
		synctest.Wait()
		resume()
		synctest.Wait()
		d.next()
		d.next()
		d.expect("00 02 0001 00000000 00000000")
		d.expect("00 03 0000 00000000 00000000")
		d.quiet()
	})
}

// What only a broken or hostile peer sends ends the session with a violation,
// which the users of its streams do not see as one.
func TestViolations(t *testing.T) {
	tests := map[string]struct {
		send func(d *double)
		want error
	}{
		"version":    {func(d *double) { d.Write(unhex(t, "01 00 0001 00000002 00000000")) }, ErrBadFrame},
		"type":       {func(d *double) { d.Write(unhex(t, "00 04 0001 00000002 00000000")) }, ErrBadFrame},
		"our parity": {func(d *double) { d.Send(typeData, flagSYN, 5, 0) }, ErrBadStreamID},
		"stream 0":   {func(d *double) { d.Send(typeWindow, flagSYN, 0, 0) }, ErrBadStreamID},
		"opened twice": {func(d *double) {
			d.Send(typeData, flagSYN, 2, 0)
			d.Send(typeWindow, flagSYN, 2, 0)
		}, ErrDuplicate},
		"first frame over the window": {func(d *double) {
			h := newHeader(typeData, flagSYN, 2, 256<<10+1)
			d.Write(h[:])
		}, ErrWindowExceeded},
		"window used up": {func(d *double) {
			d.Data(flagSYN, 2, string(make([]byte, 256<<10)))
			d.Data(0, 2, string(make([]byte, 1<<20)))
		}, ErrWindowExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				own := mustOpen(t, s)
				errs := make(chan error, 1)
				go func() {
					for {
						if _, err := s.Accept(); err != nil {
							errs <- err
							return
						}
					}
				}()
				synctest.Wait()
				go test.send(d)
				for _, err := range []error{<-errs, s.Err()} {
					v, ok := errors.AsType[*protocol.Violation](err)
					if !ok || v.Stage != "mux" || !errors.Is(v, test.want) {
						t.Errorf("got %v, want a violation because of %v", err, test.want)
					}
				}
				_, err := own.Read(make([]byte, 1))
				wantErr(t, err, ErrSessionEnded)
				if errors.Is(err, protocol.ErrViolation) {
					t.Errorf("got %v, want no violation for users of streams", err)
				}
				if fmt.Sprint(s.Err()) == "" {
					t.Error("got an error without words")
				}
			})
		})
	}
}
