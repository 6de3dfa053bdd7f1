package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

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
				time.Sleep(time.Millisecond) // it keeps no order with those that have an id
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
				var held atomic.Int32
				release := make(chan struct{})
				a := net.Start(gamelan.Config{}, append(opts,
					gamelan.WithMessages(got.on("")), gamelan.WithMessages(got.on("jobs"), gamelan.On("jobs")),
					gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
						held.Add(1)
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
				if int(held.Load()) != sent {
					t.Errorf("got %d of %d handled", held.Load(), sent)
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
		var handled atomic.Int32
		a := net.Start(gamelan.Config{}, gamelan.WithMessages(func(ctx context.Context, _ gamelan.Message) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			handled.Add(1)
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
		if int(handled.Load()) != sent {
			t.Errorf("got %d of %d handled", handled.Load(), sent)
		}
		confirmed(t, a, a, "last")
	})
}

// TestTopicsFillNoInbox: whoever sends to topics that nobody takes has a quarter of the room, and the others have theirs.
func TestTopicsFillNoInbox(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var got topicLog
		a, bad := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{MaxMessages: 40}), gamelan.WithMessages(got.on("")))
		net.Connect(a, b)
		net.Connect(bad, b)
		kept, dropped := 0, 0
		for i := range 100 {
			out, err := bad.Send(t.Context(), b.ID(), nil, gamelan.To(fmt.Sprint(i)), gamelan.Kept())
			switch {
			case err == nil && out.Kind == protocol.Confirmed:
				kept++
			case errors.Is(out.Err, gamelan.ErrDropped):
				dropped++
			default:
				t.Fatal(out, err)
			}
		}
		if kept != 10 || dropped != 90 {
			t.Errorf("got %d kept and %d dropped, want a quarter of the room kept", kept, dropped)
		}
		confirmed(t, a, b, "honest", gamelan.Handled())
		s := b.Inbox().Status()
		if n := len(s.Untaken); s.Messages != 10 || n == 0 || n > 8 {
			t.Errorf("got %+v, want ten messages, and some of their topics named", s)
		}
	})
}

// TestTopicHandlerComesLate: a message with Until waits for a handler that comes after its node, and holds up no other.
func TestTopicHandlerComesLate(t *testing.T) {
	for _, topic := range []string{"", "jobs"} {
		t.Run("topic "+topic, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var got topicLog
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.on("others"), gamelan.On("others")))
				net.Connect(a, b)
				opts, on := []gamelan.SendOption{gamelan.Handled(), gamelan.Until(time.Hour)}, []gamelan.ActorOption(nil)
				if topic != "" {
					opts, on = append(opts, gamelan.To(topic)), append(on, gamelan.On(topic))
				}
				var all []*gamelan.Pending[gamelan.Outcome]
				for i := range 3 {
					p, err := a.Submit(t.Context(), b.ID(), fmt.Append(nil, i), opts...)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, p)
				}
				short, err := a.Submit(t.Context(), b.ID(), nil, append(opts, gamelan.Until(time.Minute))...)
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				confirmed(t, a, b, "other", gamelan.To("others"))
				if took := time.Since(begun); took > time.Second {
					t.Errorf("a message of another topic took %v", took)
				}
				if out := short.Wait(t.Context()); out.Kind != protocol.Failed || out.Reason != protocol.Expired || !errors.Is(out.Err, gamelan.ErrNotTaken) {
					t.Errorf("got %v of one that waited for a minute, want it failed, with the reason", out)
				}
				go func() {
					i := 0
					for m := range b.Messages(t.Context(), on...) {
						if string(m.Body) != fmt.Sprint(i) {
							t.Errorf("got %q, want %d", m.Body, i)
						}
						i++
					}
				}()
				for i, p := range all {
					if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
						t.Errorf("%d: got %v", i, out)
					}
				}
				if took := time.Since(begun); took > 2*time.Minute {
					t.Errorf("they took %v", took)
				}
			})
		})
	}
}

// fragile is a handler that does not start again once it was broken.
type fragile struct{ broken *atomic.Bool }

func (f *fragile) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		if f.broken.Load() {
			panic("still broken")
		}
	case gamelan.Received:
		if string(m.Body) == "break" {
			f.broken.Store(true)
			panic("broken")
		}
	}
}

// TestFailedHandlerHoldsUpNoTopic: while the handler of messages without a topic has failed, those of topics go on.
func TestFailedHandlerHoldsUpNoTopic(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var got topicLog
		broken := new(atomic.Bool)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.on("jobs"), gamelan.On("jobs")),
			gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return &fragile{broken} }))
		net.Connect(a, b)
		confirmed(t, a, b, "whole", gamelan.Handled())
		if out, err := a.Send(t.Context(), b.ID(), []byte("break"), gamelan.Handled()); err != nil || out.Kind == protocol.Confirmed {
			t.Fatal(out, err)
		}
		time.Sleep(5 * time.Second) // until its restarts are used up
		waits, err := a.Submit(t.Context(), b.ID(), []byte("waits"), gamelan.Handled(), gamelan.Until(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			begun := time.Now()
			confirmed(t, a, b, fmt.Sprint(i), gamelan.To("jobs"))
			if took := time.Since(begun); took > time.Second {
				t.Errorf("a job took %v", took)
			}
			time.Sleep(time.Second)
		}
		if out := waits.Result(); out.Kind != 0 {
			t.Errorf("got %v of a message whose handler has failed", out)
		}
		broken.Store(false)
		if out := waits.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v when the handler is back", out)
		}
	})
}

// TestWithdrawnToSelf: messages to itself that nobody waits for any more hold their credit until they are handled.
func TestWithdrawnToSelf(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		release := make(chan struct{})
		a := net.Start(gamelan.Config{}, gamelan.WithMessages(func(ctx context.Context, _ gamelan.Message) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		}))
		accepted := 0
		for range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := a.Send(ctx, a.ID(), make([]byte, 100<<10), gamelan.Handled()); err == nil {
				accepted++
			}
			cancel()
		}
		if accepted == 0 || accepted > 50 {
			t.Errorf("got %d messages of 100 KiB accepted, which nobody has handled", accepted)
		}
		close(release)
		time.Sleep(time.Second)
		confirmed(t, a, a, "last", gamelan.Handled())
		if out, err := a.Send(t.Context(), a.ID(), make([]byte, 8<<20)); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("got %v, %v of 8 MiB to itself", out, err)
		}
	})
}
