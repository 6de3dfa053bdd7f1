package onecall

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// ServerOptions bound a session at the server. A zero field stands for its default.
type ServerOptions struct {
	MinDeadline time.Duration // default [rpc.MinDeadline]
	MaxDeadline time.Duration // default [rpc.MaxDeadline]
	Idle        time.Duration // default [DefaultIdle]
}

func (o ServerOptions) withDefaults() ServerOptions {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.MinDeadline, rpc.MinDeadline}, {&o.MaxDeadline, rpc.MaxDeadline}, {&o.Idle, DefaultIdle}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Reasons for the end of a session that are no offence.
var (
	// ErrIdle ends a session that has served no call for a long time.
	ErrIdle = errors.New("rpc: session idle")
	// ErrNotRead ends a session whose client did not read a response within the
	// deadline of its call.
	ErrNotRead = errors.New("rpc: the client does not read its response")
)

// Server is the server's side of a session after the handshake. It decides what to do
// about each frame, about the output of the running method, and as time passes.
//
// A call begins with the [Run] of Received, or with the call that Done returns, and
// ends with the next Done. Its answer may end earlier: with the last response, when
// the client stops the call, or at the deadline. From then on the server accepts the
// next request, which waits for Done.
//
// A session ends in order in two steps. After [Server.Leave], and after [ErrIdle], the server
// ignores each further request, and its client may make it on another session. When
// [Server.Left] holds, every request from before has run and been answered.
type Server struct {
	opts ServerOptions

	call     CallInfo
	running  bool
	answered bool // the answer of the running call has ended
	next     *Waiting
	leaving  bool // no further request is accepted

	writing  int       // responses under way
	writeEnd time.Time // deadline of the last one

	served time.Time // when the last call ended, or else when the session began
	count  uint64
}

// CallInfo is a call that a server runs.
type CallInfo struct {
	ID       uint32
	Method   uint32
	Limit    time.Duration // for the answer, or for each item
	Began    time.Time
	Deadline time.Time
}

// Waiting is a request whose call begins when the one before it has ended.
type Waiting struct {
	Call    CallInfo
	Payload []byte // the request's payload; the caller of Received must keep it valid
}

// NewServer returns the server's side of a session that begins now.
func NewServer(now time.Time, o ServerOptions) *Server {
	return &Server{opts: o.withDefaults(), served: now}
}

// Verdict is the decision about a request.
type Verdict uint8

const (
	Ignore Verdict = iota // nothing
	Answer                // send the response at once, then call Wrote
	Run                   // run the call with the request's payload
	Queue                 // nothing now: Done will return the call
	Cancel                // cancel the running call
)

// Received decides about a request. Only [Answer] has a response. An error ends the
// session: [ErrFlags] or [ErrInterrupted].
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
	if s.leaving {
		return Ignore, Response{}, nil
	}
	limit := s.limit(r.Deadline)
	switch {
	case limit < s.opts.MinDeadline:
		return s.answer(now, s.opts.MinDeadline, errorResponse(r.ID, rpc.BadRequest,
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

// TooLarge decides, as Received does, about a request above [rpc.MaxRequest], of which only the
// id is known.
func (s *Server) TooLarge(now time.Time, id uint32) (Verdict, Response, error) {
	if s.running && !s.answered || s.next != nil {
		return Ignore, Response{}, fmt.Errorf("%w: a large one", ErrInterrupted)
	}
	if s.leaving {
		return Ignore, Response{}, nil
	}
	return s.answer(now, s.opts.MinDeadline, errorResponse(id, rpc.BadRequest,
		fmt.Sprintf("request too large; at most %d bytes", rpc.MaxRequest)))
}

// Leave makes the server ignore all further requests. The calls that it has accepted go on.
func (s *Server) Leave() { s.leaving = true }

// Left reports whether the session can end in order: no further request is accepted, no
// call runs or waits, and every response is written.
func (s *Server) Left() bool { return s.leaving && !s.running && s.next == nil && s.writing == 0 }

// limit returns a deadline as a duration, at most MaxDeadline.
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

func errorResponse(id uint32, status rpc.Status, text string) Response {
	return Response{ID: id, Status: status, Flags: FIN, Payload: []byte(words.Cut(text, rpc.MaxDetails))}
}

func (s *Server) begin(call CallInfo) {
	s.call, s.running, s.answered = call, true, false
	s.served = call.Began
}

func (s *Server) write(now time.Time, limit time.Duration) {
	s.writing++
	s.writeEnd = now.Add(limit)
}

// Item returns the response for the next item of the running call's stream, without
// its payload. wanted is false when the answer has ended. Call Wrote after the write.
func (s *Server) Item(now time.Time) (r Response, wanted bool) {
	if !s.running || s.answered {
		return Response{}, false
	}
	s.write(now, s.call.Limit)
	return Response{ID: s.call.ID}, true
}

// Finish returns the last response of the running call, without its payload: the
// answer, the end of the stream or an error. wanted is false when the answer has ended
// before. After Finish the server accepts the next request. Call Wrote after the
// write.
func (s *Server) Finish(now time.Time, status rpc.Status) (r Response, wanted bool) {
	if !s.running || s.answered {
		return Response{}, false
	}
	s.answered = true
	s.write(now, s.call.Limit)
	return Response{ID: s.call.ID, Status: status, Flags: FIN}, true
}

// Wrote reports the end of a write. The time for the next item begins here.
func (s *Server) Wrote(now time.Time) {
	s.writing--
	if s.running && !s.answered {
		s.call.Deadline = now.Add(s.call.Limit)
	}
}

// Done reports that the running call's method has returned and its last response is
// written. If a request waits, its call begins and Done returns it.
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

// Due checks the deadlines at now. If answer is true, the caller sends the response,
// calls Wrote, and cancels the running call. An error ends the session: [ErrNotRead] at
// once, [ErrIdle] in order. Call Due again at next, and after every other event.
func (s *Server) Due(now time.Time) (r Response, answer bool, next time.Time, err error) {
	switch {
	case s.writing > 0:
		if !now.Before(s.writeEnd) {
			return r, false, next, ErrNotRead
		}
		return r, false, s.writeEnd, nil
	case s.next != nil: // the running call does not end
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
			s.leaving = true
			return r, false, next, ErrIdle
		}
		return r, false, end, nil
	}
	// The answer has ended, but the method has not returned; the idle time begins
	// when it does.
	return r, false, now.Add(s.opts.Idle), nil
}

func (s *Server) expired(now time.Time, id uint32) (Response, bool, time.Time, error) {
	s.write(now, s.opts.MinDeadline)
	return errorResponse(id, rpc.Timeout, "deadline passed"), true, s.writeEnd, nil
}

// Running returns the running call, if there is one. wanted is false when its answer
// has ended.
func (s *Server) Running() (call CallInfo, running, wanted bool) {
	return s.call, s.running, s.running && !s.answered
}

// Idle returns since when the session has had nothing to do: since the end of its last call, or
// since it began. ok is false while a call runs or waits, while a response is being written, and
// after [Server.Leave].
func (s *Server) Idle() (since time.Time, ok bool) {
	return s.served, !s.leaving && !s.running && s.next == nil && s.writing == 0
}

// Waits reports whether a request waits for the end of the running call's method.
func (s *Server) Waits() bool { return s.next != nil }

// Calls returns how many calls the session has accepted.
func (s *Server) Calls() uint64 { return s.count }
