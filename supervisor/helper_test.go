package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// quiet is a logger for tests that provoke errors.
var quiet = slog.New(slog.DiscardHandler)

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
}

// bubble runs f in a synctest bubble and waits for what protoactor leaves
// behind after a dead letter.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(2 * time.Second)
	})
}

// fn is an actor without state of its own.
type fn func(c actor.Context)

func (f fn) Receive(c actor.Context) { f(c) }

func act(f func(c actor.Context)) func() actor.Actor {
	return func() actor.Actor { return fn(f) }
}

// startTree starts a tree and stops it at the end of the test.
func startTree(t testing.TB, tree Spec, o Options) (*actor.ActorSystem, *Root) {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	if tree.Name == "" {
		tree.Name = "tree"
	}
	sys := newSystem()
	r, err := Start(sys, "t", tree, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.Stop(ctx, nil)
	})
	return sys, r
}

// child returns the PID of a path below the tree.
func child(sys *actor.ActorSystem, r *Root, rel string) *actor.PID {
	return sys.NewLocalPID(r.PID().Id + "/" + rel)
}

// info finds one actor in a snapshot.
func info(t testing.TB, r *Root, path string) Info {
	t.Helper()
	for _, i := range r.Snapshot() {
		if i.Path == path {
			return i
		}
	}
	t.Fatalf("no actor %s in the snapshot", path)
	return Info{}
}

func alive(r *Root, path string) bool {
	for _, i := range r.Snapshot() {
		if i.Path == path && i.State != StateFailed {
			return true
		}
	}
	return false
}

// closer counts how often it was closed.
type closer struct {
	name string
	n    atomic.Int32
	log  *journal
	err  error
}

func (c *closer) Close() error {
	c.n.Add(1)
	if c.log != nil {
		c.log.add("close %s", c.name)
	}
	return c.err
}

func wantClosed(t testing.TB, c *closer, want int32) {
	t.Helper()
	if got := c.n.Load(); got != want {
		t.Errorf("%s was closed: got %d times, want %d", c.name, got, want)
	}
}

// journal is an ordered list of what happened.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, a ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, a...))
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lines
	j.lines = nil
	return l
}

func (j *journal) want(t testing.TB, want ...string) {
	t.Helper()
	got := j.take()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// boom makes an actor panic.
type boom struct{}

var errBoom = errors.New("boom")

// parcel is a message that owns something.
type parcel struct {
	id        int
	discarded *atomic.Int32
}

func (p parcel) Discard() { p.discarded.Add(1) }

var _ io.Closer = (*closer)(nil)

// synctestYield lets the other goroutines of the bubble run.
func synctestYield() { time.Sleep(time.Nanosecond) }

// pass lets time pass and waits until everybody is idle, or asleep.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantAll is want in any order.
func (j *journal) wantAll(t testing.TB, want ...string) {
	t.Helper()
	got := j.take()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q in any order", got, want)
	}
}

// logSink collects log messages.
type logSink struct {
	mu   sync.Mutex
	msgs []string
}

func (l *logSink) logger() *slog.Logger { return slog.New(l) }

func (l *logSink) Enabled(context.Context, slog.Level) bool { return true }

func (l *logSink) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.msgs = append(l.msgs, r.Message)
	return nil
}

func (l *logSink) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logSink) WithGroup(string) slog.Handler      { return l }

func (l *logSink) count(msg string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.msgs {
		if m == msg {
			n++
		}
	}
	return n
}

// outsider is a Source.
type outsider string

func (outsider) Outsider() {}
