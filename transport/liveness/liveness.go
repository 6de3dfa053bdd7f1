package liveness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// The limits of one session.
//
// spec: V 2
const (
	MaxLine   = 80 // bytes of a line, without its end
	FirstLine = 5 * time.Second
	Idle      = 30 * time.Second
	Life      = 5 * time.Minute

	maxLines  = 20 // in a second
	writeTime = 10 * time.Second
)

// Why a session ends.
var (
	// ErrLine reports a line of more than [MaxLine] bytes.
	ErrLine = errors.New("liveness: line too long")
	// ErrRefused reports a first line that was not admitted.
	ErrRefused = errors.New("liveness: not admitted")
	// ErrTooFast reports more lines than may come in a second.
	ErrTooFast = errors.New("liveness: too many lines")
	// ErrOver reports a session that has lasted as long as one may.
	ErrOver = errors.New("liveness: the session is over")
)

// Is reports whether a connection that begins with b asks for liveness, given
// the wire byte of the network: 0xA7 does, and 0xA6 of older nodes unless it is
// the wire byte.
func Is(b, wire byte) bool {
	return b != wire && (b == protocol.LivenessByte || b == protocol.OldLivenessByte)
}

// Serve answers a connection whose first byte was read: every line comes back,
// once admit has let the first one in. It returns nil when the other side ends,
// and never closes c.
func Serve(c net.Conn, admit func(first string) bool) error {
	r := bufio.NewReaderSize(c, MaxLine+2)
	end := time.Now().Add(Life)
	wait := FirstLine
	var second time.Time
	for n, lines := 0, 0; ; n++ {
		now := time.Now()
		if now.Sub(second) >= time.Second {
			second, lines = now, 0
		}
		if lines++; lines > maxLines {
			return ErrTooFast
		}
		until := now.Add(wait)
		if until.After(end) {
			until = end
		}
		c.SetReadDeadline(until) // the read says what is wrong with the connection
		line, err := readLine(r)
		switch {
		case err == io.EOF && len(line) == 0:
			return nil
		case transport.IsTimeout(err) && !time.Now().Before(end):
			return ErrOver
		case err != nil:
			return err
		}
		if n == 0 && !admit(string(line)) {
			return ErrRefused
		}
		if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		if _, err := c.Write(append(line, '\n')); err != nil {
			return err
		}
		wait = Idle
	}
}

// readLine returns the next line without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, ErrLine
	}
	if err != nil {
		return line, err
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
	if len(line) > MaxLine {
		return nil, ErrLine
	}
	return append([]byte(nil), line...), nil
}

// Ask begins a session on a new connection: the byte, and a first line.
func Ask(c net.Conn, first string, limit time.Duration) (*Session, time.Duration, error) {
	s := &Session{c: c, r: bufio.NewReaderSize(c, MaxLine+2), limit: limit}
	took, err := s.exchange(append([]byte{protocol.LivenessByte}, first...))
	return s, took, err
}

// Session is one that Ask has begun.
type Session struct {
	c     net.Conn
	r     *bufio.Reader
	limit time.Duration
}

// Ping sends a line and waits for any.
func (s *Session) Ping() (time.Duration, error) { return s.exchange([]byte("pingpong")) }

func (s *Session) exchange(line []byte) (time.Duration, error) {
	began := time.Now()
	if err := s.c.SetDeadline(began.Add(s.limit)); err != nil {
		return 0, err
	}
	if _, err := s.c.Write(append(line, '\n')); err != nil {
		return 0, fmt.Errorf("liveness: %w", err)
	}
	if _, err := readLine(s.r); err != nil {
		return 0, fmt.Errorf("liveness: no echo: %w", err)
	}
	return time.Since(began), nil
}
