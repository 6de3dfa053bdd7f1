package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// topicLog has the messages of each topic, as its handler saw them.
type topicLog struct {
	mu sync.Mutex
	of map[string][]string
}

func (l *topicLog) on(topic string) func(context.Context, gamelan.Message) error {
	return func(_ context.Context, m gamelan.Message) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.of == nil {
			l.of = make(map[string][]string)
		}
		text := string(m.Body)
		if m.Topic != topic {
			text += " of " + m.Topic
		}
		l.of[topic] = append(l.of[topic], text)
		return nil
	}
}

func (l *topicLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.of)
}

func (l *topicLog) want(t *testing.T, topic string, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.of[topic]; !slices.Equal(got, want) {
		t.Errorf("topic %q: got %q, want %q", topic, got, want)
	}
}

// confirmed sends a message that must be confirmed.
func confirmed(t *testing.T, from *gamelantest.Node, to *gamelantest.Node, body string, opts ...gamelan.SendOption) {
	t.Helper()
	if out, err := from.Send(t.Context(), to.ID(), []byte(body), opts...); err != nil || out.Kind != protocol.Confirmed {
		t.Errorf("%s: got %v, %v, want it confirmed", body, out, err)
	}
}

// refused sends a message that must fail for want of somebody who takes it.
func refused(t *testing.T, from *gamelantest.Node, to *gamelantest.Node, body string, opts ...gamelan.SendOption) {
	t.Helper()
	begun := time.Now()
	out, err := from.Send(t.Context(), to.ID(), []byte(body), opts...)
	if took := time.Since(begun); err != nil || out.Kind != protocol.Failed || !errors.Is(out.Err, gamelan.ErrNotTaken) || took > 10*time.Second {
		t.Errorf("%s: got %v, %v after %v, want it to fail: not taken", body, out, err, took)
	}
}

// TestTopics: two handlers live side by side in one program, and each gets the messages of its topic.
func TestTopics(t *testing.T) {
	for name, opts := range map[string][]gamelan.Option{"handlers": nil, "inbox": {gamelan.WithInbox(gamelan.InboxConfig{})}} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var got topicLog
				slow := make(chan struct{})
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{}, append(opts,
					gamelan.WithMessages(got.on("")), gamelan.WithMessages(got.on("jobs"), gamelan.On("jobs")),
					gamelan.WithMessages(func(context.Context, gamelan.Message) error { <-slow; return nil }, gamelan.On("slow/Topic ü")))...)
				net.Connect(a, b)
				waits, err := a.Submit(t.Context(), b.ID(), []byte("waits"), gamelan.To("slow/Topic ü"))
				if err != nil {
					t.Fatal(err)
				}
				confirmed(t, a, b, "plain")
				confirmed(t, a, b, "no topic", gamelan.Handled())
				for i := range 3 {
					confirmed(t, a, b, fmt.Sprint("job ", i), gamelan.To("jobs"))
				}
				time.Sleep(time.Second)
				got.want(t, "", "plain", "no topic")
				got.want(t, "jobs", "job 0", "job 1", "job 2")
				if out := waits.Result(); out.Kind != 0 {
					t.Errorf("got %v of a message whose handler waits", out)
				}
				close(slow)
				if out := waits.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("got %v, want the slow one confirmed", out)
				}

				loop := b.Messages(t.Context(), gamelan.On("logs"))
				next := func() (m gamelan.Message) {
					for m = range loop {
						return m
					}
					return m
				}
				if opts == nil {
					refused(t, a, b, "nobody", gamelan.To("nobody"))
					p, err := a.Submit(t.Context(), b.ID(), []byte("a line"), gamelan.To("logs"))
					if err != nil {
						t.Fatal(err)
					}
					if m := next(); string(m.Body) != "a line" || m.Topic != "logs" {
						t.Errorf("got %q of %q in the loop", m.Body, m.Topic)
					}
					if out := p.Wait(t.Context()); !errors.Is(out.Err, gamelan.ErrDropped) {
						t.Errorf("got %v of the message at which the loop has ended", out)
					}
					if err := b.UnregisterHandler(t.Context(), gamelan.On("logs")); err != nil {
						t.Error(err)
					}
					refused(t, a, b, "no loop", gamelan.To("logs"))
					confirmed(t, a, b, "job 3", gamelan.To("jobs"))
					return
				}
				confirmed(t, a, b, "nobody", gamelan.To("nobody"), gamelan.Kept())
				confirmed(t, a, b, "a line", gamelan.To("logs"), gamelan.Kept())
				if m := next(); string(m.Body) != "a line" || m.Topic != "logs" {
					t.Errorf("got %q of %q in the loop", m.Body, m.Topic)
				}
				var all []string
				for m := range b.Inbox().Listen(t.Context(), gamelan.ListenOptions{All: true, Most: 2}) {
					all = append(all, m.Topic)
				}
				if !slices.Equal(all, []string{"nobody", "logs"}) {
					t.Errorf("a copier got %q", all)
				}
				for m := range b.Inbox().Listen(t.Context(), gamelan.ListenOptions{All: true, Most: 1, Topic: "logs"}) {
					if m.Topic != "logs" {
						t.Errorf("a copier of logs got %q", m.Topic)
					}
				}
			})
		})
	}
}

// TestTopicAlone: a node may take messages of a topic and no others.
func TestTopicAlone(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var got topicLog
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.on("jobs"), gamelan.On("jobs")))
		net.Connect(a, b)
		confirmed(t, a, b, "one", gamelan.To("jobs"))
		refused(t, a, b, "no topic", gamelan.Handled())
		refused(t, a, b, "plain")
		confirmed(t, a, b, "two", gamelan.To("jobs"))
		c := gamelantest.NewCollector()
		if err := b.RegisterHandler(t.Context(), c.New); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // a refusal is remembered for a while
		confirmed(t, a, b, "plain")
		confirmed(t, a, b, "no topic", gamelan.Handled())
		if err := b.UnregisterHandler(t.Context()); err != nil {
			t.Fatal(err)
		}
		refused(t, a, b, "no topic", gamelan.Handled())
		confirmed(t, a, b, "three", gamelan.To("jobs"))
		if err := b.UnregisterHandler(t.Context(), gamelan.On("jobs")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		refused(t, a, b, "four", gamelan.To("jobs"))
		if err := b.RegisterHandler(t.Context(), c.New, gamelan.On("jobs")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		confirmed(t, a, b, "five", gamelan.To("jobs"))
		got.want(t, "jobs", "one", "two", "three")
	})
}

// TestTopicErrors: what is no topic, or given twice, is refused.
func TestTopicErrors(t *testing.T) {
	f := func(context.Context, gamelan.Message) error { return nil }
	c := gamelantest.NewCollector()
	for name, x := range map[string]struct {
		opts []gamelan.Option
		want string
	}{
		"empty":            {[]gamelan.Option{gamelan.WithMessages(f, gamelan.On(""))}, "1 to 64 bytes"},
		"too long":         {[]gamelan.Option{gamelan.WithMessages(f, gamelan.On(strings.Repeat("x", 65)))}, "1 to 64 bytes"},
		"twice":            {[]gamelan.Option{gamelan.WithMessages(f, gamelan.On("x")), gamelan.WithMessages(f, gamelan.On("x"))}, "twice"},
		"both":             {[]gamelan.Option{gamelan.WithMessages(f, gamelan.On("x")), gamelan.WithHandler(c.New, gamelan.On("x"))}, "both given"},
		"handlers":         {[]gamelan.Option{gamelan.WithHandler(c.New, gamelan.On("x")), gamelan.WithHandler(c.New, gamelan.On("x"))}, "twice"},
		"of a protocol":    {[]gamelan.Option{gamelan.WithProtocol("x/1", c.New, gamelan.On("x"))}, "leave it out"},
		"of an actor":      {[]gamelan.Option{gamelan.WithActor("x", c.New, gamelan.On("x"))}, "leave it out"},
		"beside the inbox": {[]gamelan.Option{gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithHandler(c.New, gamelan.On("x"))}, "WithInbox"},
	} {
		n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: t.TempDir(), Listen: []string{}}, x.opts...)
		if err == nil {
			n.Close(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", name, err, x.want)
		}
	}
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(a, b)
		if _, err := a.Send(t.Context(), b.ID(), nil, gamelan.To("a\nb")); !errors.Is(err, protocol.ErrBadTopic) {
			t.Errorf("got %v of a topic of two lines", err)
		}
		if err := b.RegisterHandler(t.Context(), c.New, gamelan.On("x")); !errors.Is(err, gamelan.ErrProtocolTaken) {
			t.Errorf("got %v of a handler beside an inbox", err)
		}
		for _, err := range b.Messages(t.Context(), gamelan.On("")) {
			if !errors.Is(err, protocol.ErrBadTopic) {
				t.Errorf("got %v of a loop with an empty topic", err)
			}
		}
	})
}

// TestSendToSelf: a node sends to itself, with each outcome, and is held up as by a peer.
func TestSendToSelf(t *testing.T) {
	for name, opts := range map[string][]gamelan.Option{"handler": nil, "inbox": {gamelan.WithInbox(gamelan.InboxConfig{})}} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var got topicLog
				var held int
				release := make(chan struct{})
				a := net.Start(gamelan.Config{}, append(opts,
					gamelan.WithMessages(got.on("")), gamelan.WithMessages(got.on("jobs"), gamelan.On("jobs")),
					gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
						held++
						select {
						case <-release:
						case <-ctx.Done():
						}
						return nil
					}, gamelan.On("held")))...)
				confirmed(t, a, a, "read")
				confirmed(t, a, a, "handled", gamelan.Handled())
				confirmed(t, a, a, "resent", gamelan.Resend())
				confirmed(t, a, a, "a job", gamelan.To("jobs"))
				if opts == nil {
					refused(t, a, a, "nobody", gamelan.To("nobody"))
					if out, err := a.Send(t.Context(), a.ID(), nil, gamelan.Kept()); err != nil || !errors.Is(out.Err, gamelan.ErrNotKept) {
						t.Errorf("got %v, %v, want it refused for want of an inbox", out, err)
					}
				} else {
					confirmed(t, a, a, "kept", gamelan.Kept(), gamelan.To("nobody"))
				}
				time.Sleep(time.Second)
				got.want(t, "", "read", "handled", "resent")
				got.want(t, "jobs", "a job")
				if out, err := a.Send(t.Context(), a.ID(), make([]byte, 9<<20)); err != nil || out.Reason != protocol.TooLong {
					t.Errorf("got %v, %v of 9 MiB, want too long", out, err)
				}

				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				sent := 0
				for ; ctx.Err() == nil && sent < 1000; sent++ {
					if _, err := a.Submit(ctx, a.ID(), make([]byte, 100<<10), gamelan.To("held")); err != nil {
						break
					}
				}
				if sent == 1000 || sent < 2 {
					t.Errorf("got %d messages of 100 KiB accepted while none was handled, want some and not all", sent)
				}
				close(release)
				time.Sleep(time.Minute)
				if held != sent {
					t.Errorf("got %d of %d handled", held, sent)
				}
				confirmed(t, a, a, "last")
			})
		})
	}
}

// TestReadToSelf: what a node sends to itself and has not handled holds credit, though it was confirmed.
func TestReadToSelf(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		release := make(chan struct{})
		handled := 0
		a := net.Start(gamelan.Config{}, gamelan.WithMessages(func(ctx context.Context, _ gamelan.Message) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			handled++
			return nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sent := 0
		for ; sent < 1000; sent++ {
			if out, err := a.Send(ctx, a.ID(), make([]byte, 100<<10)); err != nil || out.Kind != protocol.Confirmed {
				break
			}
		}
		if sent == 1000 || sent < 2 {
			t.Errorf("got %d messages of 100 KiB confirmed while none was handled, want some and not all", sent)
		}
		close(release)
		time.Sleep(time.Second)
		if handled != sent {
			t.Errorf("got %d of %d handled", handled, sent)
		}
		confirmed(t, a, a, "last")
	})
}
