package streams

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// DefaultAtOnce is how many streams of one protocol functions handle at once.
const DefaultAtOnce = 1000

// warnEvery is the least time between two warnings about functions that return errors.
const warnEvery = time.Minute

// Func handles one stream of a peer. When it returns nil, the stream is closed in order; when it
// returns an error or panics, the stream is reset. ctx ends with the node.
type Func func(ctx context.Context, m actors.SubstreamOpened, s protocol.Stream) error

// Server calls a function for each stream that peers open to a protocol. Its actors, of which one
// lives at a time, share what it counts.
type Server struct {
	f Func

	mu           sync.Mutex
	places       *places[*served]
	running      int // functions, with those whose streams were evicted
	done, failed uint64
}

// NewServer makes a Server that handles at most atOnce streams at a time; 0: [DefaultAtOnce].
func NewServer(f Func, atOnce int) *Server {
	if atOnce == 0 {
		atOnce = DefaultAtOnce
	}
	return &Server{f: f, places: newPlaces[*served](atOnce)}
}

// New makes an incarnation of the actor.
func (s *Server) New() actor.Actor { return &server{Server: s} }

// server gives each stream to a task.
//
// In: SubstreamOpened, TaskDone. Out: nothing. A restart resets the streams.
type server struct {
	*Server
	n      uint64
	warned time.Time // when the last warning was
	quiet  uint64    // errors and panics since
}

// served is a stream that a task has. Closing it gives its place back, and resets it unless its
// function has ended in order.
type served struct {
	stream   protocol.Stream
	server   *Server
	cancel   func() // ends the function's context
	finished atomic.Bool
}

func (s *served) Close() error {
	s.server.mu.Lock()
	s.server.places.leave(s)
	s.server.mu.Unlock()
	if s.finished.Load() {
		return nil
	}
	return reset(s.stream)
}

func (a *server) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actors.SubstreamOpened:
		a.opened(c, m)
	case supervisor.TaskDone:
		if m.Err == nil || errors.Is(m.Err, context.Canceled) {
			return
		}
		a.quiet++
		if now := supervisor.Now(c); a.warned.IsZero() || now.Sub(a.warned) >= warnEvery {
			if crash := (*supervisor.PanicError)(nil); errors.As(m.Err, &crash) {
				supervisor.Log(c).Error("your code panicked; its stream is reset", "n", a.quiet, "err", m.Err, "stack", string(crash.Stack))
			} else {
				supervisor.Log(c).Warn("the function for streams returns errors; those streams are reset", "n", a.quiet, "err", m.Err)
			}
			a.warned, a.quiet = now, 0
		}
	default:
		supervisor.Unhandled(c)
	}
}

func (a *server) opened(c actor.Context, m actors.SubstreamOpened) {
	stream, ok := m.Stream.Take()
	if !ok {
		return
	}
	s := &served{stream: stream, server: a.Server, cancel: func() {}}
	a.mu.Lock()
	out, full := a.places.enter(base.HolderOf(m.Conn, supervisor.Now(c)), s)
	if many := a.running >= 2*a.places.limit; many && out != s { // functions that go on without their streams
		a.places.leave(s)
		a.places.evicted++
		full, out = true, s
	}
	a.mu.Unlock()
	if full {
		out.cancel()
		_ = reset(out.stream)
	}
	if out == s {
		return
	}
	a.n++
	s.cancel = supervisor.Go(c, fmt.Sprint("stream-", a.n), s, func(ctx context.Context) error {
		a.count(func() { a.running++ })
		if err := a.counted(ctx, m, stream); err != nil {
			return fmt.Errorf("peer %s: %w", m.Peer, err)
		}
		s.finished.Store(true)
		return Finish(stream)
	})
}

func (s *Server) count(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// counted calls the function, and counts its end, also when it ends its goroutine.
func (a *server) counted(ctx context.Context, m actors.SubstreamOpened, s protocol.Stream) (err error) {
	ended := false
	defer a.count(func() {
		if a.running--; ended && err == nil {
			a.done++
		} else {
			a.failed++
		}
	})
	err = a.try(ctx, m, s)
	ended = true
	return err
}

// try calls the function, and makes an error of a panic.
func (a *server) try(ctx context.Context, m actors.SubstreamOpened, s protocol.Stream) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &supervisor.PanicError{Value: r, Stack: debug.Stack(), Msg: "stream"}
		}
	}()
	return a.f(ctx, m, s)
}

// String is the actor's line in the tree.
func (s *Server) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%d of at most %d streams, %s handled", len(s.places.whose), s.places.limit, inspect.Number(s.done))
	if n := s.failed; n > 0 {
		text += fmt.Sprintf(", %s failed", inspect.Number(n))
	}
	if n := s.places.evicted; n > 0 {
		text += fmt.Sprintf(", %s evicted", inspect.Number(n))
	}
	return text
}
