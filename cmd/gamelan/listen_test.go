package main

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// keptInbox is the inbox of a node. It keeps what is not acknowledged.
type keptInbox struct {
	mu    sync.Mutex
	kept  []uint64
	added chan struct{} // closed when there is more
	deaf  bool          // it acknowledges nothing, and is stopping once it was to
	heard chan struct{} // closed when a deaf one may refuse
	stops bool          // nobody can listen any more
}

func (b *keptInbox) add(seqs ...uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, seqs...)
	close(b.added)
	b.added = make(chan struct{})
}

func (b *keptInbox) Listen(ctx context.Context, o inspect.Listening) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		for last, n := uint64(0), 0; ; {
			b.mu.Lock()
			kept, added, stops := slices.Clone(b.kept), b.added, b.stops
			b.mu.Unlock()
			if stops {
				return
			}
			for _, seq := range kept {
				if seq <= last || o.Most > 0 && n == o.Most {
					continue
				}
				if last, n = seq, n+1; !yield(models.Message{Seq: seq, At: fakeTime.Add(time.Duration(seq)), Peer: fakePeer, Body: []byte{'a' + byte(seq)}}, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-added:
			}
		}
	}
}

func (b *keptInbox) acknowledge(_ context.Context, seqs []uint64) error {
	<-b.heard
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deaf {
		b.stops = true
		return &inspect.Error{Code: inspect.CodeStopping, Message: "the node is stopping"}
	}
	b.kept = slices.DeleteFunc(b.kept, func(seq uint64) bool { return slices.Contains(seqs, seq) })
	return nil
}

// lineSink takes everything at once.
type lineSink struct {
	mu sync.Mutex
	bytes.Buffer
	more chan struct{} // receives after each message
}

func (s *lineSink) Write(m *models.Message) error {
	s.mu.Lock()
	s.Buffer.Write(m.Body)
	s.mu.Unlock()
	s.more <- struct{}{}
	return nil
}
func (s *lineSink) Flush() error { return nil }
func (s *lineSink) Written() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.Len())
}
func (s *lineSink) Taken() (int64, bool) { return s.Written(), false }
func (s *lineSink) End()                 {}

// TestListenAgain: what a listener has written comes again from the next node if the last one
// has not acknowledged it. It is acknowledged then, and not written again. The count holds over
// all nodes.
func TestListenAgain(t *testing.T) {
	for _, x := range []struct {
		name  string
		count int
		all   bool
		want  string
		left  int // kept at the end
	}{{"without an end", 0, false, "bcdefg", 0}, {"count", 5, false, "bcdef", 1}, {"all", 0, true, "bcdefg", 6}, {"all and count", 5, true, "bcdef", 6}} {
		t.Run(x.name, func(t *testing.T) {
			d := nodedir.Named(t.TempDir())
			box := &keptInbox{added: make(chan struct{}), deaf: !x.all, heard: make(chan struct{})}
			serve := func() *control.Server {
				s, err := daemon.Serve(d, inspect.Options{Source: fakeSource{}, Messages: box},
					inspect.Actions{Acknowledge: box.acknowledge, HandBack: func(context.Context, string) error { return nil }}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			now, cancel := context.WithCancel(t.Context())
			cancel()
			node := serve()
			box.add(1, 2, 3)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			out, said, ended := &lineSink{more: make(chan struct{}, 100)}, make(chan string, 10), make(chan error, 1)
			go func() {
				ended <- outlast.Listen(ctx, client.New(d.Path, client.Options{}), inspect.Listening{Most: x.count, All: x.all}, out, outlast.NodeAway{Begin: func() { said <- "away" }, Over: func() { said <- "back" }})
			}()
			for range 3 {
				<-out.more
			}
			close(box.heard) // a refusal ends the stream, so it comes after the messages
			if x.all {
				node.Close(now)
			}
			if got := <-said; got != "away" { // also when the node has refused the acknowledgement
				t.Fatalf("got %q, want that the node is away", got)
			}
			if !x.all {
				time.Sleep(time.Second / 2) // the listener tries in vain
				node.Close(now)
			}
			box.mu.Lock()
			box.deaf, box.stops = false, false
			box.mu.Unlock()
			box.add(4, 5, 6)
			node = serve()
			defer node.Close(now)
			if got := <-said; got != "back" {
				t.Errorf("got %q, want that the node is back", got)
			}
			<-out.more
			<-out.more
			if x.count == 0 {
				<-out.more
				for left := -1; left != x.left; time.Sleep(time.Millisecond) {
					box.mu.Lock()
					left = len(box.kept)
					box.mu.Unlock()
				}
				end()
			}
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if got := out.String(); got != x.want {
				t.Errorf("got %q written, want %q", got, x.want)
			}
			if len(box.kept) != x.left {
				t.Errorf("got %d messages kept, want %d", len(box.kept), x.left)
			}
		})
	}
}
