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
	MaxLine   = 80 // bytes of a line, without the line end
	FirstLine = 5 * time.Second
	Idle      = 30 * time.Second
	Life      = 5 * time.Minute

	maxLines  = 20 // in a second
	writeTime = 10 * time.Second
)

// Errors that end a session.
var (
	// ErrLine reports a line of more than [MaxLine] bytes.
	ErrLine = errors.New("liveness: line too long")
	// ErrRefused reports that admit refused the session's first line.
	ErrRefused = errors.New("liveness: not admitted")
	// ErrTooFast reports more lines in a second than the limit.
	ErrTooFast = errors.New("liveness: too many lines")
	// ErrNoEcho reports an answer that is not the first line.
	ErrNoEcho = errors.New("liveness: the answer is no echo")
	// ErrOver reports a session that has reached its greatest duration.
	ErrOver = errors.New("liveness: the session is over")
)

// Is reports whether a connection whose first byte is b asks for a liveness check: for
// 0xA7, and for 0xA6 of older nodes unless it is wire, the wire byte of the network.
func Is(b, wire byte) bool {
	return b != wire && (b == protocol.LivenessByte || b == protocol.OldLivenessByte)
}

// Serve serves a connection whose first byte was read. It sends every line back, unless
// admit refuses the first one. It returns nil when the other side ends, and never closes
// c.
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
		c.SetReadDeadline(until) // the next read reports an error of the connection
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

// readLine returns the next line without the line end.
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

// Ask begins a session on a new connection: it sends the liveness byte and the first
// line, and waits for the echo, whose round trip it returns.
func Ask(c net.Conn, first string, limit time.Duration) (*Session, time.Duration, error) {
	s := &Session{c: c, r: bufio.NewReaderSize(c, MaxLine+2), limit: limit}
	echo, took, err := s.exchange(append([]byte{protocol.LivenessByte}, first...))
	if err == nil && echo != first {
		err = ErrNoEcho
	}
	return s, took, err
}

// Session is a session that Ask has begun.
type Session struct {
	c     net.Conn
	r     *bufio.Reader
	limit time.Duration
}

// Ping sends a line, waits for any line, and returns the round trip.
func (s *Session) Ping() (time.Duration, error) {
	_, took, err := s.exchange([]byte("pingpong"))
	return took, err
}

func (s *Session) exchange(line []byte) (echo string, took time.Duration, err error) {
	began := time.Now()
	if err := s.c.SetDeadline(began.Add(s.limit)); err != nil {
		return "", 0, err
	}
	if _, err := s.c.Write(append(line, '\n')); err != nil {
		return "", 0, fmt.Errorf("liveness: %w", err)
	}
	answer, err := readLine(s.r)
	if err != nil {
		return "", 0, fmt.Errorf("liveness: no echo: %w", err)
	}
	return string(answer), time.Since(began), nil
}
