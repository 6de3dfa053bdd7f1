package mux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/yamux"
)

// An end is one side of a connection, of this package or of the bare library.
type end interface {
	open() (endStream, error)
	accept() (endStream, error)
	Close() error
}

type endStream interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	endWrite() error
}

type (
	ourEnd        struct{ *Session }
	ourStream     struct{ *Stream }
	libraryEnd    struct{ *yamux.Session }
	libraryStream struct{ *yamux.Stream }
)

func (e ourEnd) open() (endStream, error)     { s, err := e.Open(); return ourStream{s}, err }
func (e ourEnd) accept() (endStream, error)   { s, err := e.Accept(); return ourStream{s}, err }
func (s ourStream) endWrite() error           { return s.CloseWrite() }
func (e libraryEnd) open() (endStream, error) { s, err := e.OpenStream(); return libraryStream{s}, err }

func (e libraryEnd) accept() (endStream, error) {
	s, err := e.AcceptStream()
	return libraryStream{s}, err
}
func (s libraryStream) endWrite() error { return s.Close() }

func newEnd(t *testing.T, ours bool, c net.Conn, client bool) end {
	if ours {
		return ourEnd{wrap(t, inParts(c), client, Config{})}
	}
	start := yamux.Server
	if client {
		start = yamux.Client
	}
	cfg := yamux.DefaultConfig()
	cfg.EnableKeepAlive, cfg.StreamOpenTimeout, cfg.StreamCloseTimeout = false, 0, 0
	cfg.Logger, cfg.LogOutput = log.New(io.Discard, "", 0), nil
	s, err := start(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return libraryEnd{s}
}

// run carries out a program on a connection, and returns what each of its steps ended with. Two
// bytes are a step: what is done, on which side of which substream, and how much.
func run(t *testing.T, program []byte, client, server bool) (log []string) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		ends := [2]end{newEnd(t, client, a, true), newEnd(t, server, b, false)}
		defer func() {
			ends[0].Close()
			ends[1].Close()
		}()
		type sub struct {
			side   [2]endStream
			unread [2]int // of what this side wrote
			ended  [2]bool
		}
		var subs []*sub
		note := func(format string, values ...any) { log = append(log, fmt.Sprintf(format, values...)) }
		for step := 0; step+1 < len(program) && step < 200; step += 2 {
			what, much := program[step], int(program[step+1])
			side := int(what>>3) & 1
			if what&7 == 0 || len(subs) == 0 {
				if len(subs) == 8 {
					continue
				}
				st, err := ends[side].open()
				if err != nil {
					t.Fatal(err)
				}
				other, err := ends[1-side].accept()
				if err != nil {
					t.Fatal(err)
				}
				n := new(sub)
				n.side[side], n.side[1-side] = st, other
				subs = append(subs, n)
				continue
			}
			s := subs[int(what>>4)%len(subs)]
			switch what & 7 {
			case 1, 2, 3: // the library withholds credit for half a window, so this never waits
				n := much * (1 << (5 * (what&7 - 1)))
				if n = min(n, initialWindow/2-s.unread[side]); n == 0 {
					continue
				}
				k, err := s.side[side].Write(bytes.Repeat([]byte{byte(step)}, n))
				note("%d: wrote %d %v", step, k, err != nil)
				s.unread[side] += k
			case 4, 5, 6:
				synctest.Wait()
				s.side[side].SetReadDeadline(passedDeadline)
				buf := make([]byte, 1+much*(1<<(4*(what&7-4))))
				k, err := io.ReadFull(s.side[side], buf)
				if netErr := net.Error(nil); errors.As(err, &netErr) && netErr.Timeout() {
					err = errors.New("timeout")
				}
				note("%d: read %x %v", step, buf[:k], err)
				s.unread[1-side] -= k
			case 7:
				if !s.ended[side] {
					s.ended[side] = true
					note("%d: ended %v", step, s.side[side].endWrite())
				}
			}
		}
	})
	return log
}

// FuzzAgainstLibrary runs a program of opens, writes, reads and ends with this package at one
// side, at the other, at both, and with the bare library at both. What every step ends with is the
// same.
func FuzzAgainstLibrary(f *testing.F) {
	f.Add([]byte{0, 0, 1, 5, 4 + 8, 2, 4 + 8, 9, 7, 0, 4 + 8, 9})
	f.Add([]byte{8, 0, 3, 200, 6 + 8, 255, 7, 0, 6 + 8, 255, 3 + 8, 100, 7 + 8, 0, 6, 255})
	f.Add([]byte{0, 0, 8, 0, 16 + 2, 90, 2, 80, 16 + 5 + 8, 255, 5 + 8, 255, 7, 0, 16 + 7, 0, 4 + 8, 0, 16 + 4 + 8, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		want := run(t, program, false, false)
		for _, ours := range [][2]bool{{true, false}, {false, true}, {true, true}} {
			got := run(t, program, ours[0], ours[1])
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || got[i] != want[i] {
					t.Fatalf("ours %v: got %.200q, want %.200q", ours, got[min(i, len(got)):], want[min(i, len(want)):])
				}
			}
		}
	})
}
