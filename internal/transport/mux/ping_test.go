package mux

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func hexID(id uint32) string { return fmt.Sprintf("%08x", id) }

// A ping of the peer is answered once with its value; a pong that nobody asked
// for changes nothing and is never sent.
//
// conforms: comms 61
func TestAnswersPings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		for i := range 100 {
			d.Send(typePing, flagSYN, 0, uint32(i)*0x01234567)
			d.expect(fmt.Sprintf("00 02 0002 00000000 %08x", uint32(i)*0x01234567))
		}
		for i := range 100 {
			d.Send(typePing, flagACK, 0, uint32(i))
		}
		d.quiet()
		if pong, err := s.Ping(); pong.RTT != 0 || err != nil {
			t.Errorf("got ping %v, %v, want 0 in virtual time", pong.RTT, err)
		}
		d.expect("00 02 0001 00000000 00000000")
		if _, err := s.Ping(); err != nil {
			t.Error(err)
		}
		d.expect("00 02 0001 00000000 00000001")
		d.quiet()
	})
}

// Pings are withheld their answers, and are no offence, however many come.
func TestWithholdPongs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		d.Send(typePing, flagSYN, 0, 1)
		d.expect("00 02 0002 00000000 00000001")
		flag := new(atomic.Bool)
		s.WithholdPongs(flag)
		d.Send(typePing, flagSYN, 0, 2)
		d.expect("00 02 0002 00000000 00000002")
		flag.Store(true)
		for i := range 100 {
			d.Send(typePing, flagSYN, 0, uint32(i))
			synctest.Wait()
		}
		d.quiet()
		if pong, err := s.Ping(); pong.RTT != 0 || err != nil {
			t.Errorf("got ping %v, %v of our own, want 0 in virtual time", pong.RTT, err)
		}
		d.expect("00 02 0001 00000000 00000000")
		d.quiet()
	})
}

// Sixteen pings may wait for their answers while the peer reads nothing, the
// seventeenth is an offence. Answers make room again.
//
// conforms: comms 61
func TestPingFlood(t *testing.T) {
	for pings, ends := range map[int]bool{16: false, 17: true} {
		bubble(t, func(t *testing.T) {
			s, d := connect(t, true, Config{})
			st := mustOpen(t, s)
			d.next()
			resume := d.stop()
			go st.Write(make([]byte, 200_000)) // no answer gets past it
			synctest.Wait()
			for i := range pings {
				d.Send(typePing, flagSYN, 0, uint32(i))
			}
			synctest.Wait()
			if !ends {
				resume()
				for pongs := 0; pongs < pings; {
					if f := d.next(); f.Type() == typePing {
						pongs++
					}
				}
				for i := range pings {
					d.Send(typePing, flagSYN, 0, uint32(i))
				}
				synctest.Wait()
				if err := s.Err(); err != nil {
					t.Errorf("%d pings: got %v, want a living session", pings, err)
				}
				return
			}
			wantErr(t, s.Err(), ErrTooManyPings)
		})
	}
}

// A peer that reads nothing for 1 s still gets the pong afterwards, and nothing
// counts as confirmed before: the answer to our own ping comes only then too.
//
// conforms: comms 145
func TestPingWhilePeerPauses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		synctest.Wait()
		resume := d.stop()
		written := make(chan error, 1)
		go func() {
			_, err := st.Write(make([]byte, 200_000))
			written <- err
		}()
		synctest.Wait()
		d.Send(typePing, flagSYN, 0, 77)
		pong := make(chan time.Duration, 1)
		start := time.Now()
		go func() {
			if _, err := s.Ping(); err != nil {
				t.Error(err)
			}
			pong <- time.Since(start)
		}()
		synctest.Wait()
		d.Send(typePing, flagSYN, 0, 78) // while ours waits for its answer
		synctest.Wait()
		select {
		case <-pong:
			t.Error("got a pong from a peer that reads nothing")
		default:
		}
		time.Sleep(time.Second)
		resume()
		if took := <-pong; took != time.Second {
			t.Errorf("got the pong after %v, want 1s", took)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for _, want := range []uint32{77, 78} {
			f := d.next()
			for f.Type() != typePing || f.Flags() != flagACK {
				f = d.next()
			}
			if f.Length() != want {
				t.Errorf("got pong %d, want %d", f.Length(), want)
			}
		}
	})
}

// A ping without answer ends after PingTimeout; the session does not, and a
// late answer is nobody's.
func TestPingTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.Mute(true)
		start := time.Now()
		_, err := s.Ping()
		wantErr(t, err, ErrPingTimeout)
		if took := time.Since(start); took != 65*time.Second {
			t.Errorf("got the error after %v, want 65s", took)
		}
		d.Send(typePing, flagACK, 0, 0)
		d.Data(flagACK, st.ID(), "alive")
		mustRead(t, st, "alive")
	})
}

// A ping leaves after everything that was written before it.
func TestPingFollowsWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.next()
		for i := range 50 {
			body := bytes.Repeat([]byte{byte(i)}, 4000)
			if _, err := st.Write(body); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Ping(); err != nil {
				t.Fatal(err)
			}
			if f := d.next(); !bytes.Equal(f.Body, body) {
				t.Fatalf("got %v, want the data first", f)
			}
			if f := d.next(); f.Type() != typePing {
				t.Fatalf("got %v, want the ping", f)
			}
		}
	})
}

// A session that is held answers no ping until it is released, and can be
// closed all the same.
func TestHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connectHeld(t, true, Config{}, inParts)
		go d.Send(typePing, flagSYN, 0, 7)
		d.quiet()
		s.Release()
		s.Release()
		d.expect("00 02 0002 00000000 00000007")
		d.quiet()
	})
	bubble(t, func(t *testing.T) {
		s, d := connectHeld(t, false, Config{}, inParts)
		if err := s.GoAway(); err != nil {
			t.Error(err)
		}
		d.expect("00 03 0000 00000000 00000000")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// slowly is a connection that takes so many bytes a second; 0 is any number.
type slowly struct {
	net.Conn
	rate *atomic.Int64
}

func (c slowly) Write(b []byte) (int, error) {
	if rate := c.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(len(b)) * time.Second / time.Duration(rate))
	}
	return c.Conn.Write(b)
}

// On a slow link a ping does not wait for all that many substreams have to write,
// because the peer has given credit to all of them at once.
func TestPingOnASlowLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const rate, writers, more = 16 << 10, 40, 20_000
		var slow slowly
		a, b := net.Pipe()
		slow.Conn, slow.rate = a, new(atomic.Int64)
		s, err := New(over(slow), true, Config{PingTimeout: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
		d := newDouble(t, b)
		defer b.Close()
		defer s.Close()
		done := make(chan error, writers)
		var streams []*Stream
		for range writers {
			st := mustOpen(t, s)
			streams = append(streams, st)
			go func() {
				_, err := st.Write(make([]byte, smallWindow+more))
				done <- err
			}()
		}
		synctest.Wait() // all wait for credit
		slow.rate.Store(rate)
		for _, st := range streams {
			d.Send(typeWindow, 0, st.ID(), more)
		}
		time.Sleep(3 * time.Second)
		if len(done) > writers/4 {
			t.Fatalf("got %d written, want nearly all still to be written", len(done))
		}
		for range 3 {
			took, err := s.Ping()
			if most := 64 << 10 / rate * time.Second; err != nil || took.RTT > most {
				t.Errorf("a ping took %v, %v, want at most %v", took.RTT, err, most)
			}
		}
		for range writers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
