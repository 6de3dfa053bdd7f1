package rpc

import (
	"errors"
	"fmt"
	"time"
)

// ServerOptions bound a session at the server. Zero fields are the defaults.
type ServerOptions struct {
	MinDeadline time.Duration // default [MinDeadline]
	MaxDeadline time.Duration // default [MaxDeadline]
	Idle        time.Duration // default [DefaultIdle]
}

func (o ServerOptions) withDefaults() ServerOptions {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.MinDeadline, MinDeadline}, {&o.MaxDeadline, MaxDeadline}, {&o.Idle, DefaultIdle}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Why a session ends without an offence.
var (
	// ErrIdle is the end of a session that served nothing for a long time.
	ErrIdle = errors.New("rpc: session idle")
	// ErrNotRead is the end of a session whose client did not take a response
	// within the deadline of its call.
	ErrNotRead = errors.New("rpc: the client does not read its response")
)

// Server is a session after the handshake, as the server sees it. It says what
// follows from a frame, from what the method that runs has produced, and from
// the passing of time.
//
// A call runs from the [Run] of Received, or the call that Done returns, to the
// Done after it. Its answer may be over before: when its last response was
// handed out, when the client has stopped it, and when its deadline has passed.
// From then on the next request is taken; it waits for Done.
type Server struct {
	opts ServerOptions

	call     CallInfo
	running  bool
	answered bool // nothing of the running call is sent any more
	next     *Waiting

	writing  bool
	writeEnd time.Time // when it must be over

	served time.Time // when the last call ended, or the session began
	count  uint64
}

// CallInfo is a call that a server runs.
type CallInfo struct {
	ID       uint32
	Method   uint32
	Limit    time.Duration // for an answer, or for each item
	Began    time.Time
	Deadline time.Time
}

// Waiting is a request whose call begins when the one before it has ended.
type Waiting struct {
	Call    CallInfo
	Payload []byte // the request's own: whoever called Received keeps it
}

// NewServer returns a session that begins now.
func NewServer(now time.Time, o ServerOptions) *Server {
	return &Server{opts: o.withDefaults(), served: now}
}

// Verdict says what to do about a request.
type Verdict uint8

const (
	Ignore Verdict = iota // nothing
	Answer                // send the response at once, then call Wrote
	Run                   // run the call with the request's payload
	Queue                 // nothing now: Done returns the call, while Waits
	Cancel                // tell the running call that nobody wants it
)

// Received decides about a frame. A response comes with [Answer] only. An error
// ends the session: [ErrFlags] or [ErrInterrupted].
func (s *Server) Received(now time.Time, r Request) (Verdict, Response, error) {
	busy := s.running && !s.answered || s.next != nil
	if busy {
		if r.Flags != FIN {
			return Ignore, Response{}, fmt.Errorf("%w: flags %#x", ErrInterrupted, uint32(r.Flags))
		}
		if s.next != nil {
			s.next = nil
			return Ignore, Response{}, nil
		}
		s.answered = true
		return Cancel, Response{}, nil
	}
	limit := s.limit(r.Deadline)
	switch {
	case limit < s.opts.MinDeadline:
		return s.answer(now, s.opts.MinDeadline, errorResponse(r.ID, BadRequest,
			fmt.Sprintf("deadline of %ds; it must be at least %v", r.Deadline, s.opts.MinDeadline)))
	case r.Flags&^(FIN|ACK) != 0:
		return Ignore, Response{}, fmt.Errorf("%w: %#x in a request", ErrFlags, uint32(r.Flags))
	case r.Flags&FIN != 0:
		return Ignore, Response{}, nil
	case r.Flags&ACK != 0:
		return s.answer(now, limit, Response{ID: r.ID, Flags: ACK})
	}
	call := CallInfo{ID: r.ID, Method: r.Method, Limit: limit, Began: now, Deadline: now.Add(limit)}
	s.count++
	if s.running {
		s.next = &Waiting{call, r.Payload}
		return Queue, Response{}, nil
	}
	s.begin(call)
	return Run, Response{}, nil
}

// TooLarge decides about a request above [MaxRequest], of which the id is known
// and no more.
func (s *Server) TooLarge(now time.Time, id uint32) (Response, error) {
	if s.running && !s.answered || s.next != nil {
		return Response{}, fmt.Errorf("%w: a large one", ErrInterrupted)
	}
	_, r, err := s.answer(now, s.opts.MinDeadline, errorResponse(id, BadRequest,
		fmt.Sprintf("request too large; at most %d bytes", MaxRequest)))
	return r, err
}

// limit is a deadline as a duration, at most the greatest.
func (s *Server) limit(seconds uint64) time.Duration {
	if seconds > uint64(s.opts.MaxDeadline/time.Second) {
		return s.opts.MaxDeadline
	}
	return time.Duration(seconds) * time.Second
}

func (s *Server) answer(now time.Time, limit time.Duration, r Response) (Verdict, Response, error) {
	s.write(now, limit)
	return Answer, r, nil
}

func errorResponse(id uint32, status Status, text string) Response {
	return Response{ID: id, Status: status, Flags: FIN, Payload: []byte(cut(text))}
}

func (s *Server) begin(call CallInfo) {
	s.call, s.running, s.answered = call, true, false
	s.served = call.Began
}

func (s *Server) write(now time.Time, limit time.Duration) {
	s.writing, s.writeEnd = true, now.Add(limit)
}

// Item is the head of the next item of the running call's stream. Wanted is
// false when there is nobody to send it to. After the write: Wrote.
func (s *Server) Item(now time.Time) (r Response, wanted bool) {
	if !s.running || s.answered {
		return Response{}, false
	}
	s.write(now, s.call.Limit)
	return Response{ID: s.call.ID}, true
}

// Finish is the head of the last response of the running call: the answer, the
// end of the stream or an error. Wanted is false when nobody waits for it. The
// next request counts as such from here on. After the write: Wrote.
func (s *Server) Finish(now time.Time, status Status) (r Response, wanted bool) {
	if !s.running || s.answered {
		return Response{}, false
	}
	s.answered = true
	s.write(now, s.call.Limit)
	return Response{ID: s.call.ID, Status: status, Flags: FIN}, true
}

// Wrote is the end of a write. The time for the next item counts from here.
func (s *Server) Wrote(now time.Time) {
	s.writing = false
	if s.running && !s.answered {
		s.call.Deadline = now.Add(s.call.Limit)
	}
}

// Done is the end of the running call's method, and after it of the write of its
// last response. If a request waits, its call begins.
func (s *Server) Done(now time.Time) *Waiting {
	s.running, s.answered = false, false
	s.served = now
	next := s.next
	if next != nil {
		s.next = nil
		s.begin(next.Call)
	}
	return next
}

// Due looks at the time. If answer is set, the response is sent, then Wrote, and
// the running call is told that nobody wants it any more. An error ends the
// session: [ErrIdle] or [ErrNotRead]. Due is called again at next, or when more
// has happened.
func (s *Server) Due(now time.Time) (r Response, answer bool, next time.Time, err error) {
	switch {
	case s.writing:
		if !now.Before(s.writeEnd) {
			return r, false, next, ErrNotRead
		}
		return r, false, s.writeEnd, nil
	case s.next != nil: // the one before it does not end
		if !now.Before(s.next.Call.Deadline) {
			id := s.next.Call.ID
			s.next = nil
			return s.expired(now, id)
		}
		return r, false, s.next.Call.Deadline, nil
	case s.running && !s.answered:
		if !now.Before(s.call.Deadline) {
			s.answered = true
			return s.expired(now, s.call.ID)
		}
		return r, false, s.call.Deadline, nil
	case !s.running:
		end := s.served.Add(s.opts.Idle)
		if !now.Before(end) {
			return r, false, next, ErrIdle
		}
		return r, false, end, nil
	}
	// The end of a method is awaited that nobody waits for; the idle time begins
	// with it.
	return r, false, now.Add(s.opts.Idle), nil
}

func (s *Server) expired(now time.Time, id uint32) (Response, bool, time.Time, error) {
	s.write(now, s.opts.MinDeadline)
	return errorResponse(id, Timeout, "deadline passed"), true, s.writeEnd, nil
}

// Running is the call that runs, if one does. Wanted is false when its answer is
// over.
func (s *Server) Running() (call CallInfo, running, wanted bool) {
	return s.call, s.running, s.running && !s.answered
}

// Waits reports whether a request waits for the end of the running call's method.
func (s *Server) Waits() bool { return s.next != nil }

// Calls is how many calls were taken.
func (s *Server) Calls() uint64 { return s.count }
