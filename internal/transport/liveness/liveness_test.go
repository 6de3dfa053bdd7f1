package liveness_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
)

func serve(t *testing.T, f func(t *testing.T, c net.Conn, ended <-chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		ended := make(chan error, 1)
		go func() {
			err := liveness.Serve(theirs, func(first string) bool { return first != "refused" })
			theirs.Close()
			ended <- err
		}()
		f(t, ours, ended)
	})
}

// TestEcho sends lines and reads them back.
//
// conforms: comms 26
func TestEcho(t *testing.T) {
	serve(t, func(t *testing.T, c net.Conn, ended <-chan error) {
		for _, x := range []struct{ send, want string }{
			{"pingpong\n", "pingpong\n"},
			{"with return\r\n", "with return\n"},
			{"\n", "\n"},
			{strings.Repeat("x", 80) + "\n", strings.Repeat("x", 80) + "\n"},
		} {
			go io.WriteString(c, x.send)
			got := make([]byte, len(x.want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != x.want {
				t.Errorf("got %q, %v, want %q", got, err, x.want)
			}
		}
		c.Close()
		if err := <-ended; err != nil {
			t.Errorf("got the end %v, want none", err)
		}
	})
}

// TestEnds breaks each limit.
//
// conforms: comms 26; V 2
func TestEnds(t *testing.T) {
	for _, x := range []struct {
		name  string
		lines []string
		pause time.Duration
		want  error
		after time.Duration
	}{
		{"81 bytes", []string{strings.Repeat("x", 81) + "\n"}, 0, liveness.ErrLine, 0},
		{"no end", []string{strings.Repeat("x", 200)}, 0, liveness.ErrLine, 0},
		{"nothing", nil, 0, os.ErrDeadlineExceeded, 5 * time.Second},
		{"half a line", []string{"x"}, 0, os.ErrDeadlineExceeded, 5 * time.Second},
		{"then nothing", []string{"x\n"}, 0, os.ErrDeadlineExceeded, 30 * time.Second},
		{"refused", []string{"refused\n"}, 0, liveness.ErrRefused, 0},
		{"too long", strings.SplitAfter(strings.Repeat("x\n", 20), "\n")[:20], 20 * time.Second, liveness.ErrOver, 5 * time.Minute},
		{"too fast", strings.SplitAfter(strings.Repeat("x\n", 100), "\n")[:100], 0, liveness.ErrTooFast, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			serve(t, func(t *testing.T, c net.Conn, ended <-chan error) {
				began := time.Now()
				go io.Copy(io.Discard, c)
				sent := make(chan struct{})
				defer func() { <-sent }()
				go func() {
					defer close(sent)
					for _, l := range x.lines {
						if _, err := io.WriteString(c, l); err != nil {
							return
						}
						time.Sleep(x.pause)
					}
				}()
				err := <-ended
				if !errors.Is(err, x.want) || time.Since(began) != x.after {
					t.Errorf("got %v after %v, want %v after %v", err, time.Since(began), x.want, x.after)
				}
			})
		})
	}
}

// TestAsk has a session of our own echoed.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		first := make(chan string, 1)
		go func() {
			defer theirs.Close()
			var b [1]byte
			if _, err := io.ReadFull(theirs, b[:]); err != nil || !liveness.Is(b[0], 0x10) {
				first <- fmt.Sprint(b, err)
				return
			}
			liveness.Serve(theirs, func(line string) bool { first <- line; return true })
		}()
		s, _, err := liveness.Ask(ours, "token", time.Second)
		if got := <-first; err != nil || got != "token" {
			t.Fatalf("got %q, %v, want the token echoed", got, err)
		}
		for range 3 {
			if _, err := s.Ping(); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Second)
		}
	})
	for b, want := range map[[2]byte]bool{{0xa7, 0x10}: true, {0xa6, 0x10}: true, {0xa6, 0xa6}: false, {0x10, 0x10}: false, {0xa5, 0x10}: false} {
		if got := liveness.Is(b[0], b[1]); got != want {
			t.Errorf("byte %#x on a network with %#x: got %v, want %v", b[0], b[1], got, want)
		}
	}
}

func FuzzServe(f *testing.F) {
	f.Add([]byte("pingpong\nx\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		go func() {
			ours.Write(b)
			ours.Close()
		}()
		go io.Copy(io.Discard, ours)
		liveness.Serve(theirs, func(string) bool { return true })
		theirs.Close()
	})
}
