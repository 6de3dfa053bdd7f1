package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// pipe is a stream whose reader decides when a Write goes on.
type pipe struct {
	*io.PipeWriter
	from *io.PipeReader

	mu     sync.Mutex
	events []string
}

func newPipe() *pipe {
	r, w := io.Pipe()
	return &pipe{PipeWriter: w, from: r}
}

func (p *pipe) note(event string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, event)
}

func (p *pipe) CloseWrite() error { p.note("end"); return p.PipeWriter.Close() }
func (p *pipe) Close() error      { p.note("close"); return p.PipeWriter.Close() }

func (p *pipe) want(t *testing.T, events string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(p.events, " "); got != events {
		t.Errorf("stream: got %q, want %q", got, events)
	}
}

// runWriter starts an actor that runs w, and returns how the task has ended.
func runWriter(t *testing.T, w *Writer) (sys *actor.ActorSystem, r *Root, ends *[]error) {
	ends = new([]error)
	sys, r = startTree(t, Spec{New: act(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			Go(c, "write", w, w.Run)
		case func():
			m()
		case TaskDone:
			*ends = append(*ends, m.Err)
		}
	})}, Options{})
	synctest.Wait()
	return sys, r, ends
}

func TestWriterKeepsTheOrderAndNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPipe()
		w := NewWriter(p, 1<<20)
		sys, r, ends := runWriter(t, w)
		const n = 1000
		var want bytes.Buffer
		sys.Root.Send(r.PID(), func() {
			for i := range n {
				fmt.Fprintln(&want, i)
				if _, err := fmt.Fprintln(w, i); err != nil {
					t.Errorf("write %d: %v", i, err)
				}
			}
			if err := w.CloseWrite(); err != nil {
				t.Error(err)
			}
			if _, err := w.Write([]byte("late")); !errors.Is(err, ErrWriterClosed) {
				t.Errorf("after CloseWrite: got %v, want %v", err, ErrWriterClosed)
			}
		})
		synctest.Wait() // nobody has read anything
		if got := w.Unwritten(); got != want.Len() {
			t.Errorf("got %d bytes that wait, want %d: the turn is over", got, want.Len())
		}
		p.want(t, "")
		got, err := io.ReadAll(p.from)
		synctest.Wait()
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got %d bytes and %v, want the %d that were written, in their order", len(got), err, want.Len())
		}
		if len(*ends) != 1 || (*ends)[0] != nil || w.Unwritten() != 0 {
			t.Errorf("got the ends %v and %d bytes, want one without an error, and none", *ends, w.Unwritten())
		}
		p.want(t, "end close")
	})
}

func TestWriterWithoutAReaderHasABound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPipe()
		w := NewWriter(p, 100)
		_, _, ends := runWriter(t, w)
		if _, err := w.Write(make([]byte, 150)); err != nil {
			t.Errorf("longer than the limit, with nothing before it: %v", err)
		}
		synctest.Wait()
		var unread *UnreadError
		for range 2 {
			if n, err := w.Write([]byte("x")); n != 0 || !errors.As(err, &unread) || *unread != (UnreadError{150, 100}) {
				t.Errorf("got %d, %v; want a refusal with 150 and 100 bytes", n, err)
			}
		}
		if err := w.CloseWrite(); !errors.As(err, &unread) {
			t.Errorf("close: got %v, want that bytes are missing", err)
		}
		if err := w.Room(t.Context()); !errors.As(err, &unread) {
			t.Errorf("room: got %v, want that bytes are missing", err)
		}
		synctest.Wait()
		if len(*ends) != 1 || !errors.As((*ends)[0], &unread) {
			t.Errorf("got the ends %v, want one with the cause", *ends)
		}
		p.want(t, "close close")
	})
}

func TestWriterRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPipe()
		w := NewWriter(p, 100)
		runWriter(t, w)
		if err := w.Room(t.Context()); err != nil {
			t.Errorf("an empty one: %v", err)
		}
		w.Write(make([]byte, 60))
		ctx, cancel := context.WithCancel(t.Context())
		var results [2]error
		var all sync.WaitGroup
		all.Go(func() { results[0] = w.Room(ctx) })
		all.Go(func() { results[1] = w.Room(t.Context()) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		io.ReadFull(p.from, make([]byte, 60))
		all.Wait()
		if !errors.Is(results[0], context.Canceled) || results[1] != nil {
			t.Errorf("got %v, want that one has given up, and the other has room", results)
		}
		w.Write(make([]byte, 60))
		all.Go(func() { results[0] = w.Room(t.Context()) })
		synctest.Wait()
		w.Close()
		all.Wait()
		if !errors.Is(results[0], ErrWriterClosed) {
			t.Errorf("after Close: got %v, want %v", results[0], ErrWriterClosed)
		}
	})
}

func TestWriterEndsWithItsStreamAndItsActor(t *testing.T) {
	for name, end := range map[string]func(p *pipe, w *Writer, stop func()){
		"stream": func(p *pipe, w *Writer, _ func()) { p.from.CloseWithError(errBoom); w.Write([]byte("x")) },
		"actor":  func(_ *pipe, _ *Writer, stop func()) { stop() },
		"close":  func(_ *pipe, w *Writer, _ func()) { w.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPipe()
				w := NewWriter(p, 100)
				sys, r, _ := runWriter(t, w)
				end(p, w, func() { sys.Root.Stop(r.PID()) })
				synctest.Wait()
				if _, err := w.Write([]byte("x")); err == nil || name == "stream" && !errors.Is(err, errBoom) {
					t.Errorf("got %v, want the reason", err)
				}
				if w.Err() == nil {
					t.Error("got no error, want that nothing more can be written")
				}
			})
		})
	}
}

// TestWriterOfManyGoroutines: each Write stays whole, and those of one goroutine keep their order.
func TestWriterOfManyGoroutines(t *testing.T) {
	p := newPipe()
	w := NewWriter(p, 1<<20)
	var all sync.WaitGroup
	all.Go(func() { w.Run(t.Context()) })
	var writers sync.WaitGroup
	for g := range 4 {
		writers.Go(func() {
			for i := range 500 {
				fmt.Fprintln(w, g, i)
			}
		})
	}
	all.Go(func() { writers.Wait(); w.CloseWrite() })
	got, _ := io.ReadAll(p.from)
	all.Wait()
	next := make(map[int]int)
	for line := range strings.Lines(string(got)) {
		var g, i int
		if _, err := fmt.Sscan(line, &g, &i); err != nil || next[g] != i {
			t.Fatalf("got line %q, want number %d of its goroutine", line, next[g])
		}
		next[g]++
	}
	if len(got) == 0 || next[0]+next[1]+next[2]+next[3] != 2000 {
		t.Errorf("got %v lines of the goroutines, want 500 each", next)
	}
}

// old has a method Source from before its result had a type.
type old struct{ source any }

func (m old) Source() any { return m.source }

func TestSourceOf(t *testing.T) {
	for name, tt := range map[string]struct {
		msg  any
		want Source
	}{
		"typed":                     {outside{}, outsider("peer")},
		"none":                      {boom{}, nil},
		"untyped":                   {old{outsider("peer")}, outsider("peer")},
		"untyped, and of no source": {old{"peer"}, nil},
		"panics":                    {faulty{}, nil},
	} {
		if got := sourceOf(tt.msg); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestGoReport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []any
		startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				GoReport(c, "quiet", nil, func(context.Context) error { return nil }, func(error) any { return nil })
				GoReport(c, "fails", nil, func(context.Context) error { return errBoom }, func(err error) any { return err })
				GoReport(c, "panics", nil, func(context.Context) error { panic(errBoom) }, func(err error) any { return err })
			case actor.SystemMessage, actor.AutoReceiveMessage:
			default:
				got = append(got, m)
			}
		})}, Options{})
		synctest.Wait()
		if len(got) != 2 || !errors.Is(got[0].(error), errBoom) || !errors.Is(got[1].(error), errBoom) {
			t.Errorf("got %v, want two messages of the kind that report returns", got)
		}
	})
}
