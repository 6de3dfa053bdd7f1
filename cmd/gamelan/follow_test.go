package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// fakeEvents are so many events. There are no others until over is closed; then the record ends.
type fakeEvents struct {
	n    int
	over chan struct{}
}

func (f fakeEvents) Select(q *inspect.EventQuery) (list models.Events, err error) {
	since, _ := strconv.Atoi(q.Since)
	for id := since + 1; id <= f.n; id++ {
		list.Events = append(list.Events, models.Event{ID: strconv.Itoa(id), Type: "node.online", At: fakeTime, What: "event-" + strconv.Itoa(id)})
	}
	list.Next = strconv.Itoa(f.n)
	return list, nil
}

func (f fakeEvents) Await(ctx context.Context, _ string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.over:
		return errors.New("the record has ended")
	}
}

// onText calls then with each of its texts that is written, in their order.
type onText struct {
	all   strings.Builder
	texts []string
	then  func(string)
}

func (u *onText) Write(b []byte) (int, error) {
	n, err := u.all.Write(b)
	for len(u.texts) > 0 && strings.Contains(u.all.String(), u.texts[0]) {
		u.then(u.texts[0])
		u.texts = u.texts[1:]
	}
	return n, err
}

// TestEventsFollowOn: events --follow outlives its node. It says so, and shows each event once.
func TestEventsFollowOn(t *testing.T) {
	t.Parallel()
	d := nodedir.Named(t.TempDir())
	serve := func(f fakeEvents) (closed func()) {
		var s inspect.Sections
		s.Section("node", func(context.Context) any { return models.Node{} })
		server, err := daemon.Serve(d, inspect.Options{Source: fakeSource{}, Sections: &s, Events: f}, inspect.Actions{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return func() { server.Close(context.Background()) }
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	first, second := make(chan struct{}), make(chan struct{})
	closed := serve(fakeEvents{2, first})
	said := make(chan string, 2)
	tell := func(text string) { said <- text }
	out, errs := &onText{texts: []string{"event-2", "event-3"}, then: tell}, &onText{texts: []string{"went away"}, then: tell}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"events", "--follow", "--data-dir", d.Path}, &app{in: strings.NewReader(""), Output: &render.Output{Out: out, Err: errs}})
	}()
	for _, want := range []string{"event-2", "went away", "event-3"} {
		select {
		case got := <-said:
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		case code := <-ended:
			t.Fatalf("got exit code %d, and %q, want that it waits for the node", code, errs.all.String())
		}
		switch want {
		case "event-2":
			close(first)
			closed()
		case "went away":
			closed = serve(fakeEvents{3, second})
		}
	}
	interrupt()
	if code := <-ended; code != failure.ExitOK || strings.Count(out.all.String(), "event-") != 3 {
		t.Errorf("got exit code %d, and %q, want each event once", code, out.all.String())
	}
	if !strings.Contains(errs.all.String(), "The node is back.") {
		t.Errorf("got %q said", errs.all.String())
	}
	close(second)
	closed()

	var none onText
	if code := run(t.Context(), []string{"events", "--follow", "--data-dir", d.Path, "--wait", "0s"}, &app{Output: &render.Output{Out: io.Discard, Err: &none}}); code != failure.ExitUnreachable {
		t.Errorf("of no node: got exit code %d, and %q", code, none.all.String())
	}
}
