package gamelan_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/bits"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// readParts reads frames that begin with their length.
func readParts(_ context.Context, in *actors.FrameReader) error {
	r := bufio.NewReader(in)
	for {
		n, err := binary.ReadUvarint(r)
		if err == nil {
			err = in.DeliverFrom(r, int(n))
		}
		if err != nil {
			return err
		}
	}
}

func part(body []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(body))), body...) }

// framer is an actor for frames. f handles each; ended has what each FramesEnded said.
type framer struct {
	credits *actors.Credits
	f       func(c actor.Context, m actors.Frame)

	mu    sync.Mutex
	ended []error
	done  int
}

func (a *framer) new(*gamelan.Node) actor.Actor { return &framing{a} }

func (a *framer) state() (ended []error, done int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended, a.done
}

type framing struct{ *framer }

func (a *framing) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case gamelan.SubstreamOpened:
		actors.ReadFrames(c, m, a.credits, readParts)
	case actors.Frame:
		a.f(c, m)
		a.mu.Lock()
		a.done++
		a.mu.Unlock()
	case actors.FramesEnded:
		a.mu.Lock()
		a.ended = append(a.ended, m.Err)
		a.mu.Unlock()
		m.CloseWrite()
	default:
		supervisor.Unhandled(c)
	}
}

func framesBetween(t *testing.T, f *framer) (net *gamelantest.Network, a, b *gamelantest.Node) {
	net = gamelantest.NewNetwork(t)
	a = net.Start(gamelan.Config{NoDHT: true})
	b = net.Start(gamelan.Config{NoDHT: true}, gamelan.WithProtocol("/frames/1", f.new), gamelan.WithLogger(discard))
	net.Connect(a, b)
	return net, a, b
}

func openFrames(t *testing.T, a, b *gamelantest.Node) *gamelan.Stream {
	t.Helper()
	s, err := a.OpenStream(t.Context(), b.ID(), "/frames/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestFramesAreAnsweredInOrder(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		f := &framer{credits: actors.NewCredits(0, 0), f: func(_ actor.Context, m actors.Frame) { m.Write(part(m.Body)) }}
		_, a, b := framesBetween(t, f)
		s := openFrames(t, a, b)
		var want bytes.Buffer
		for i := range 1000 {
			want.Write(part(fmt.Append(nil, i)))
		}
		if _, err := s.Write(want.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got %d bytes and %v, want %d as they were sent", len(got), err, want.Len())
		}
		time.Sleep(time.Minute)
		if ended, done := f.state(); len(ended) != 1 || ended[0] != nil || done != 1000 || f.credits.Used() != 0 {
			t.Errorf("got %d frames, the ends %v, %d bytes held; want 1000, one in order, none", done, ended, f.credits.Used())
		}
		if ref, _ := b.Connection(a.ID()); ref.NumStreams() > 2 {
			t.Errorf("got %d substreams, want that of the frames closed", ref.NumStreams())
		}
	})
}

// TestFramesHoldAtMostTheirCredit: an actor that handles nothing is sent no more than the credit, over
// all substreams of the peer; another peer goes on.
func TestFramesHoldAtMostTheirCredit(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const limit = 64 << 10
		var kept []func()
		f := &framer{credits: actors.NewCredits(limit, 1<<20)}
		f.f = func(_ actor.Context, m actors.Frame) { kept = append(kept, m.Keep()) }
		net, a, b := framesBetween(t, f)
		other := net.Start(gamelan.Config{NoDHT: true})
		net.Connect(other, b)
		var writers sync.WaitGroup
		for range 3 {
			s := openFrames(t, a, b)
			writers.Go(func() {
				for range 1000 {
					if _, err := s.Write(part(make([]byte, 1000))); err != nil {
						return
					}
				}
			})
		}
		time.Sleep(time.Minute)
		if _, done := f.state(); done != limit/1256 || f.credits.Used() > limit {
			t.Errorf("got %d frames and %d bytes, want %d frames", done, f.credits.Used(), limit/1256)
		}
		s := openFrames(t, other, b)
		s.Write(part([]byte("x")))
		time.Sleep(time.Second)
		if _, done := f.state(); done != limit/1256+1 {
			t.Error("got no frame of another peer")
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		writers.Wait()
		for _, release := range kept {
			release()
		}
		if f.credits.Used() != 0 {
			t.Errorf("got %d bytes held after the end", f.credits.Used())
		}
	})
}

// TestFramesOfAPeerThatDoesNotRead: it is not read from while its answers wait. An actor that goes on
// writing gets an error, is never held up, and the substream ends with the cause.
func TestFramesOfAPeerThatDoesNotRead(t *testing.T) {
	for name, answers := range map[string]int{"one answer each": 1, "without end": 100} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				var refused error
				var slowest time.Duration
				f := &framer{credits: actors.NewCredits(0, 0)}
				f.f = func(_ actor.Context, m actors.Frame) {
					began := time.Now()
					for range answers {
						if _, err := m.Write(make([]byte, 8<<10)); err != nil {
							refused = err
						}
					}
					slowest = max(slowest, time.Since(began))
				}
				_, a, b := framesBetween(t, f)
				s := openFrames(t, a, b)
				var writer sync.WaitGroup
				writer.Go(func() {
					for range 10_000 {
						if _, err := s.Write(part([]byte("more"))); err != nil {
							return
						}
					}
				})
				time.Sleep(time.Minute)
				var unread *supervisor.UnreadError
				ended, done := f.state()
				switch {
				case answers == 1 && (refused != nil || len(ended) != 0 || done == 0 || done == 10_000):
					t.Errorf("got %v, %v after %d frames; want the peer to be read no more", refused, ended, done)
				case answers > 1 && (!errors.As(refused, &unread) || len(ended) != 1 || !errors.As(ended[0], &unread)):
					t.Errorf("got %v and %v, want that the peer does not read", refused, ended)
				}
				if slowest != 0 {
					t.Errorf("got an actor that waited for %v", slowest)
				}
				s.Close()
				writer.Wait()
			})
		})
	}
}

func TestFramesThatEndBadly(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes []byte
		want  error
	}{
		"inside a frame": {part(make([]byte, 100))[:50], io.ErrUnexpectedEOF},
		"too long":       {binary.AppendUvarint(nil, math.MaxInt32), &actors.FrameTooLongError{Len: math.MaxInt32, Limit: 1000}},
		"negative":       {binary.AppendUvarint(nil, 1<<(bits.UintSize-1)), &actors.FrameTooLongError{Len: math.MinInt, Limit: 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				f := &framer{credits: actors.NewCredits(1000, 0), f: func(actor.Context, actors.Frame) {}}
				_, a, b := framesBetween(t, f)
				s := openFrames(t, a, b)
				s.Write(tt.bytes)
				s.CloseWrite()
				if _, err := io.ReadAll(s); err == nil {
					t.Error("got a stream that ended in order, want a reset")
				}
				time.Sleep(time.Second)
				if ended, _ := f.state(); len(ended) != 1 || ended[0] == nil || ended[0].Error() != tt.want.Error() || f.credits.Used() != 0 {
					t.Errorf("got %v and %d bytes held, want %v and none", ended, f.credits.Used(), tt.want)
				}
			})
		})
	}
}

// order is a message of the program that names its peer, and note one that names none.
type (
	order struct{ actors.Origin }
	note  struct{}
)

type clumsy struct{}

func (clumsy) Receive(c actor.Context) {
	switch c.Message().(type) {
	case order, note, actors.Frame:
		panic("clumsy")
	}
}

// TestPanicsFindThePeer: a panic of your actor on a frame, or on a message with an origin, names the peer
// in the log, and one on another message names nobody.
func TestPanicsFindThePeer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		log := new(gamelantestLog)
		f := &framer{credits: actors.NewCredits(0, 0)}
		f.f = func(c actor.Context, m actors.Frame) {
			if string(m.Body) == "panic" {
				panic("clumsy")
			}
			c.Send(c.Self(), order{m.Origin})
		}
		net := gamelantest.NewNetwork(t)
		a, c := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true})
		b := net.Start(gamelan.Config{NoDHT: true}, gamelan.WithProtocol("/frames/1", f.new),
			gamelan.WithActor("clumsy", func(*gamelan.Node) actor.Actor { return clumsy{} }),
			gamelan.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		net.Connect(a, b)
		net.Connect(c, b)
		s := openFrames(t, a, b)
		s.Write(part([]byte("panic")))
		time.Sleep(time.Second)
		if got := log.take(); strings.Count(got, "your code panicked") != 1 || !strings.Contains(got, "peer="+a.ID().String()) || strings.Contains(got, c.ID().String()) {
			t.Errorf("a frame: got %q, want the peer", got)
		}
		if f.credits.Used() != 0 {
			t.Errorf("got %d bytes held after the panic", f.credits.Used())
		}
		b.Tell("clumsy", order{actors.Origin{Peer: c.ID()}})
		time.Sleep(time.Second)
		if got := log.take(); !strings.Contains(got, "peer="+c.ID().String()) {
			t.Errorf("a message with an origin: got %q, want the peer", got)
		}
		b.Tell("clumsy", note{})
		time.Sleep(time.Minute)
		if got := log.take(); !strings.Contains(got, "your code panicked") || strings.Contains(got, "peer=") {
			t.Errorf("a message without one: got %q, want no peer", got)
		}
	})
}

// TestPanicsOfAPartCountAgainstThePeer: three panics of a part's actor close the connection with the
// peer whose messages they were, and no other.
func TestPanicsOfAPartCountAgainstThePeer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, c := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true})
		b := net.Start(gamelan.Config{NoDHT: true}, gamelan.WithLogger(discard), gamelan.WithPart(func(*gamelan.Node) (gamelan.Part, error) {
			return gamelan.Part{Name: "clumsy", Actors: []supervisor.Spec{{Name: "x", New: func() actor.Actor { return clumsy{} }}}}, nil
		}))
		net.Connect(a, b)
		net.Connect(c, b)
		ref, _ := b.Connection(a.ID())
		x := b.System().NewLocalPID(b.Inspection().Tree().PID().Id + "/clumsy/x")
		for range 3 {
			b.System().Root.Send(x, order{actors.Origin{Peer: a.ID(), Conn: ref.ID}})
			b.System().Root.Send(x, note{})
			time.Sleep(time.Second)
		}
		if last := nodetest.Trunk(b).Closed(); len(last) != 1 || last[0].Ref.Peer != a.ID() || last[0].Reason.Code != actors.ClosePanics {
			t.Errorf("got %+v, want the connection closed for its panics", last)
		}
		if _, ok := b.Connection(c.ID()); !ok {
			t.Error("got no connection to the other peer")
		}
	})
}

// gamelantestLog keeps a log.
type gamelantestLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *gamelantestLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *gamelantestLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}
