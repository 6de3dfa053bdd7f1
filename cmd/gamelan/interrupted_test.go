package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// endless is a node that carries nothing out: each request lasts until over is closed. It calls begun with each; with
// given, with a request that sends messages when it has read the first of them.
type endless struct {
	begun func()
	over  chan struct{}
	given bool
}

func (e endless) last(context.Context) error {
	e.begun()
	<-e.over
	return errors.New("the test is over")
}

func (e endless) Resolve(ctx context.Context, peer string) (string, error) {
	if e.given {
		return peer, nil
	}
	return "", e.last(ctx)
}

func (e endless) Send(ctx context.Context, _ inspect.SendRequest) (inspect.Pending, error) {
	return nil, e.last(ctx)
}

func (e endless) Listen(ctx context.Context, _ inspect.Listening) iter.Seq2[models.Message, error] {
	return func(func(models.Message, error) bool) { _ = e.last(ctx) }
}

// serve serves the API of the node in a directory of its own until the test ends.
func (e endless) serve(t *testing.T) (dir string) {
	t.Helper()
	d := nodedir.Named(t.TempDir())
	var s inspect.Sections
	looks := 0
	s.Section("node", func(context.Context) any {
		if looks++; looks > 1 { // drain looks again and again
			e.begun()
		}
		return models.Node{Calls: 1}
	})
	s.Section("peers", func(context.Context) any { return fakePeers() })
	act := inspect.Verb{
		Params: []string{"client", "key", "peer", "for", "target", "find"}, Body: 1 << 10,
		Do: func(ctx context.Context, _ url.Values, _ []byte) (any, error) { return nil, e.last(ctx) },
	}
	server, err := daemon.Serve(d, inspect.Options{Source: fakeSource{}, Sections: &s, Messages: e}, inspect.Actions{
		Sender: e,
		Peers:  map[string]inspect.PeerAction{"dial": {Do: func(ctx context.Context, _ string, _ url.Values) (any, error) { return nil, e.last(ctx) }}},
		Verbs: map[string]map[string]inspect.Verb{
			"kad": {"put": act}, "network": {"discover": act}, "doctor": {"examine": act},
			"node": {"drain": {Params: []string{"off"}, Do: func(context.Context, url.Values, []byte) (any, error) {
				return models.Drain{Draining: true, Calls: 1}, nil
			}}},
		},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(e.over)
		server.Close(context.Background())
	})
	return d.Path
}

// TestInterrupted: a verb that is interrupted before its end says so, with what is known, and fails. One that
// goes on until then ends in order.
func TestInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		sent = "gamelan: interrupted; messages without an outcome may or may not have arrived"
		done = "gamelan: interrupted; the node may or may not have done it"
	)
	for words, want := range map[string]struct {
		code int
		said string
	}{
		"send KEY --file FILE":         {failure.ExitFailed, sent},
		"send KEY --file FILE --kept":  {failure.ExitInDoubt, sent},
		"send KEY --file FILE --retry": {failure.ExitFailed, sent},
		"send KEY a b":                 {failure.ExitFailed, sent},
		"send KEY":                     {failure.ExitFailed, "gamelan: interrupted; nothing was sent"},
		"send KEY --kept":              {failure.ExitFailed, "gamelan: interrupted; nothing was sent"},
		"send KEY --retry":             {failure.ExitFailed, "gamelan: interrupted; nothing was sent"},
		"send KEY --whole":             {failure.ExitFailed, "gamelan: interrupted; nothing was sent"},
		"drain":                        {failure.ExitFailed, "gamelan: interrupted with work under way; the node drains on; "},
		"drain --stop":                 {failure.ExitFailed, "gamelan: interrupted with work under way; the node was not stopped, "},
		"dial KEY":                     {failure.ExitFailed, done},
		"discover KEY":                 {failure.ExitFailed, done},
		"doctor":                       {failure.ExitFailed, done},
		"kad put a":                    {failure.ExitFailed, done},
		"listen --count 1":             {failure.ExitFailed, "gamelan: interrupted before the last message"},
		"listen":                       {failure.ExitOK, ""},
		"tree --watch --interval 1h":   {failure.ExitOK, ""},
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			open, w := io.Pipe()
			defer w.Close()
			args := strings.Fields(strings.NewReplacer("KEY", fakeKey, "FILE", file).Replace(words))
			var out stopper
			out.stop = interrupt // of a verb that shows something
			var errs bytes.Buffer
			args = append(args, "--data-dir", endless{interrupt, make(chan struct{}), want.said == sent}.serve(t))
			code := run(ctx, args, &app{in: open, Output: &render.Output{Out: &out, Err: &errs}})
			if code != want.code || want.said == "" && errs.Len() > 0 || !strings.Contains(errs.String(), want.said) {
				t.Errorf("got exit code %d, and %q, want %d, and %q", code, &errs, want.code, want.said)
			}
		})
	}
}

// stopper calls stop when something is written to it.
type stopper struct{ stop func() }

func (s *stopper) Write(b []byte) (int, error) {
	s.stop()
	return len(b), nil
}

// TestSendOfAnUnreadableInput: it is the input that has failed, not the node.
func TestSendOfAnUnreadableInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &leavingPeer{}
	server, err := daemon.Serve(nodedir.Named(dir), inspect.Options{Source: fakeSource{}}, inspect.Actions{Sender: p}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(t.Context())
	for _, flag := range []string{"--whole", "--quiet"} {
		var errs bytes.Buffer
		in := io.MultiReader(strings.NewReader("a"), iotest.ErrReader(errors.New("is a directory")))
		code := run(t.Context(), []string{"send", fakePeer, flag, "--data-dir", dir}, &app{in: in, Output: &render.Output{Out: io.Discard, Err: &errs}})
		if code != failure.ExitFailed || !strings.Contains(errs.String(), "gamelan: the input cannot be read: is a directory") || len(p.heard) > 0 {
			t.Errorf("%s: got exit code %d, %q, and %q heard", flag, code, &errs, p.heard)
		}
	}
}
