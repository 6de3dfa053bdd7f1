package messages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// crafted begins the messages on which a clumsy actor panics.
const crafted = "crafted"

const fragileID protocol.ID = "test/clumsy/1"

// clumsy is an actor of the user's, of any kind: it writes to a nil map on a
// crafted message, and keeps what else it hears.
type clumsy struct {
	seen  map[string]int
	heard *heard
}

// heard outlives the incarnations of a clumsy actor.
type heard struct {
	mu     sync.Mutex
	bodies []string
	lives  int
}

func (h *heard) New(*gamelan.Node) actor.Actor {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lives++
	return &clumsy{heard: h}
}

func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	bodies := h.bodies
	h.bodies = nil
	return bodies
}

// say is a message of the user's own code, asked for an answer.
type say struct{ text string }

func (a *clumsy) Receive(c actor.Context) {
	var text string
	switch m := c.Message().(type) {
	case actors.Received:
		text = string(m.Body)
	case dht.Received:
		text = string(m.Body)
	case say:
		text = m.text
	case actors.SubstreamOpened: // it panics with the stream in hand
		if s, ok := m.Stream.Take(); ok {
			supervisor.Own(c, s)
			s.SetDeadline(time.Now().Add(time.Second))
			b, err := io.ReadAll(s)
			if err != nil {
				panic(err)
			}
			text = string(b)
			defer s.Close()
			defer s.CloseWrite()
		}
	default:
		supervisor.Unhandled(c)
		return
	}
	if strings.HasPrefix(text, crafted) {
		a.seen[text]++ // the bug: nobody has made the map
	}
	a.heard.mu.Lock()
	a.heard.bodies = append(a.heard.bodies, text)
	a.heard.mu.Unlock()
	if c.Sender() != nil {
		c.Respond(text)
	}
}

// kind is one way to run an actor of the user's, and to send it something.
type kind struct {
	name     string // of the actor in the tree
	option   func(gamelan.NewActor, ...gamelan.ActorOption) gamelan.Option
	register func(*gamelan.Node, context.Context, gamelan.NewActor, ...gamelan.ActorOption) error
	leave    func(*gamelan.Node, context.Context) error
	send     func(t *testing.T, from, to *gamelantest.Node, text string) error
	cfg      gamelan.Config
}

var kinds = map[string]kind{
	"handler": {
		"handler", gamelan.WithHandler, (*gamelan.Node).RegisterHandler,
		func(n *gamelan.Node, ctx context.Context) error { return n.UnregisterHandler(ctx) },
		func(t *testing.T, from, to *gamelantest.Node, text string) error {
			out, err := from.Send(t.Context(), to.ID(), []byte(text))
			if err == nil && out.Kind != gamelan.Confirmed {
				err = errors.New(out.String())
			}
			return err
		},
		gamelan.Config{},
	},
	"protocol": {
		"test-clumsy-1",
		func(a gamelan.NewActor, o ...gamelan.ActorOption) gamelan.Option {
			return gamelan.WithProtocol(fragileID, a, o...)
		},
		func(n *gamelan.Node, ctx context.Context, a gamelan.NewActor, o ...gamelan.ActorOption) error {
			return n.Register(ctx, fragileID, a, o...)
		},
		func(n *gamelan.Node, ctx context.Context) error { return n.Unregister(ctx, fragileID) },
		func(t *testing.T, from, to *gamelantest.Node, text string) error {
			s, err := from.OpenStream(t.Context(), to.ID(), fragileID)
			if err != nil {
				return err
			}
			defer s.Close()
			if _, err := s.Write([]byte(text)); err != nil {
				return err
			}
			if err := s.CloseWrite(); err != nil {
				return err
			}
			_, err = io.ReadAll(s)
			return err
		},
		gamelan.Config{},
	},
	"type": {
		"type-2002",
		func(a gamelan.NewActor, o ...gamelan.ActorOption) gamelan.Option {
			return gamelan.WithType(2002, a, o...)
		},
		func(n *gamelan.Node, ctx context.Context, a gamelan.NewActor, o ...gamelan.ActorOption) error {
			return n.DHT().RegisterType(ctx, 2002, a, o...)
		},
		func(n *gamelan.Node, ctx context.Context) error { return n.DHT().UnregisterType(ctx, 2002) },
		func(t *testing.T, from, to *gamelantest.Node, text string) error {
			m := dht.Message{To: dht.Direct{Peer: to.ID()}, Type: 2002, Body: []byte(text)}
			_, err := from.DHT().Send(t.Context(), m)
			return err
		},
		gamelan.Config{DHT: &gamelan.DHTConfig{}},
	},
	"spawned": {
		"clerk",
		func(a gamelan.NewActor, o ...gamelan.ActorOption) gamelan.Option {
			return gamelan.WithActor("clerk", a, o...)
		},
		func(n *gamelan.Node, ctx context.Context, a gamelan.NewActor, o ...gamelan.ActorOption) error {
			_, err := n.Spawn(ctx, "clerk", a, o...)
			return err
		},
		nil,
		func(t *testing.T, _, to *gamelantest.Node, text string) error {
			pid, ok := to.Actor("clerk")
			if !ok {
				return supervisor.ErrNoActor
			}
			_, err := supervisor.Ask[string](t.Context(), to.System(), pid, say{text})
			return err
		},
		gamelan.Config{},
	},
}

// lasting is what a peer has running while actors panic: a stream of a protocol, and
// a call that streams.
type lasting struct {
	stream *gamelan.Stream
	items  atomic.Int64
	conn   uint64
	end    func()
}

// begin opens them, at a node with the echo protocol and the test service.
func begin(t *testing.T, from, to *gamelantest.Node) *lasting {
	t.Helper()
	l := new(lasting)
	var err error
	if l.stream, err = from.OpenStream(t.Context(), to.ID(), "test/talk/1"); err != nil {
		t.Fatal(err)
	}
	ref, _ := from.Connection(to.ID())
	l.conn = ref.ID
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, err := range rpc.Items[kit.Number, kit.Number](ctx, from.RPC().Client(to.ID(), kit.TestService), 8, wrapperspb.UInt64(1)) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the call that runs: %v", err)
				}
				return
			}
			l.items.Add(1)
		}
	})
	l.end = func() {
		cancel()
		l.stream.Close()
		wg.Wait()
	}
	return l
}

// goesOn checks that the connection is the same, and that stream and call work.
func (l *lasting) goesOn(t *testing.T, from, to *gamelantest.Node) {
	t.Helper()
	if ref, ok := from.Connection(to.ID()); !ok || ref.ID != l.conn {
		t.Errorf("got the connection %v, want that of the beginning", ref)
	}
	if _, err := l.stream.Write([]byte("?")); err != nil {
		t.Error(err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(l.stream, b); err != nil || b[0] != '?' {
		t.Errorf("got %q, %v from the stream, want its echo", b, err)
	}
	before := l.items.Load()
	time.Sleep(2 * time.Second)
	if l.items.Load() <= before {
		t.Error("the call that runs has no more items")
	}
}

// talk echoes bytes for as long as its peer wants.
type talk struct{}

func (talk) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.SubstreamOpened); ok {
		if s, ok := m.Stream.Take(); ok {
			supervisor.Go(c, "talk", s, func(context.Context) error {
				_, err := io.Copy(s, s)
				return err
			})
		}
	}
}

func withTalk() []gamelan.Option {
	s := new(kit.Service).Service()
	s.Methods = append(s.Methods, rpc.Stream(8, func(context.Context, *kit.Number) iter.Seq2[*kit.Number, error] {
		return func(yield func(*kit.Number, error) bool) {
			for i := uint64(0); yield(wrapperspb.UInt64(i), nil); i++ {
				time.Sleep(time.Second)
			}
		}
	}))
	return []gamelan.Option{
		gamelan.WithService(s),
		gamelan.WithProtocol("test/talk/1", func(*gamelan.Node) actor.Actor { return talk{} }),
	}
}

// records is a log that keeps the records of panics.
type records struct {
	slog.Handler
	mu     sync.Mutex
	panics []string
}

func newRecords() *records { return &records{Handler: slog.DiscardHandler} }

func (r *records) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (r *records) WithAttrs([]slog.Attr) slog.Handler { return r }

func (r *records) Handle(_ context.Context, rec slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", rec.Level, rec.Message)
	rec.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %s=%v", a.Key, a.Value); return true })
	if text := b.String(); strings.Contains(text, "panic") || strings.Contains(text, "fail") {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.panics = append(r.panics, text)
	}
	return nil
}

func (r *records) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.panics
	r.panics = nil
	return all
}

// TestBubblePanicPolicies has a peer send an actor of the user's of each kind ten
// messages on which it panics, with good ones in between, under each policy: the
// peer stays connected, its stream and its call go on, no good message is lost, and
// the log has one record for each panic.
func TestBubblePanicPolicies(t *testing.T) {
	for name, k := range kinds {
		if name == "spawned" {
			continue // no peer reaches it; see TestBubblePanicsOfOwnMessages
		}
		for _, policy := range []gamelan.PanicPolicy{gamelan.PanicRestart, gamelan.PanicContain} {
			t.Run(name+" "+policy.String(), func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					net := gamelantest.NewNetwork(t)
					h, log := new(heard), newRecords()
					from := net.Start(k.cfg, kit.Quiet)
					to := net.Start(k.cfg, append(withTalk(), gamelan.WithLogger(slog.New(log)), k.option(h.New, gamelan.OnPanic(policy)))...)
					net.Connect(from, to)
					l := begin(t, from, to)
					var want []string
					for i := range 10 {
						k.send(t, from, to, fmt.Sprint(crafted, i))
						good := fmt.Sprint("good ", i)
						if err := k.send(t, from, to, good); err != nil {
							t.Errorf("good message %d: %v", i, err)
						}
						want = append(want, good)
						time.Sleep(time.Second)
					}
					synctest.Wait()
					if got := h.take(); fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("got %q, want %q", got, want)
					}
					l.goesOn(t, from, to)
					lives, contained := uint64(6), uint64(5) // five restarts a minute
					if policy == gamelan.PanicContain {
						lives, contained = 1, 10
					}
					if i := kit.InfoOf(t, to, k.name); i.Incarnation != lives || i.Contained != contained || i.RestartsWindow != 0 {
						t.Errorf("got incarnation %d, %d contained, %d charged; want %d, %d, none", i.Incarnation, i.Contained, i.RestartsWindow, lives, contained)
					}
					all := log.take()
					for _, line := range all {
						for _, part := range []string{"WARN your code panicked", "actor=" + to.Inspection().Tree().PID().Id + "/extensions/" + k.name + " ", "peer=" + from.ID().String(), "message=", "at=panics_test.go:", "stack_id=", "Received", "panic=assignment to entry in nil map"} {
							if part == "Received" && name == "protocol" {
								part = "SubstreamOpened"
							}
							if !strings.Contains(line, part) || strings.Contains(line, "stack=") {
								t.Errorf("got the record %q, want %q and no stack in it", line, part)
							}
						}
					}
					if len(all) != 10 {
						t.Errorf("got %d records, want 10", len(all))
					}
					reasons := to.Inspection().Degraded(t.Context()).Texts()
					wantReason := "your actor extensions/" + k.name + " panicked 10 times in the last 10 minutes, last "
					if len(reasons) != 1 || !strings.HasPrefix(reasons[0], wantReason) || !strings.Contains(reasons[0], "assignment to entry in nil map; look at what it has failed on") {
						t.Errorf("got %q, want %q…", reasons, wantReason)
					}
					kit.Says(t, to.Node, codes.OwnPanicked)
					if w := to.Inspection().Node(t.Context()).Warnings.Texts(); len(w) != 1 || w[0] != reasons[0] {
						t.Errorf("got the warnings %q, want what degrades the node", w)
					}
					if bad := to.Inspection().Health(t.Context()); len(bad) != 0 {
						t.Errorf("got %q, want a node that nobody starts again", bad)
					}
					if c := nodetest.Trunk(to).Closed(); len(c) != 0 {
						t.Errorf("got %v closed, want no connection ended", c[0].Reason)
					}
					l.end()
					kit.WantNoCredit(t, from, to)
					time.Sleep(base.PanicQuiet)
					if got := to.Inspection().Degraded(t.Context()).Texts(); len(got) != 0 {
						t.Errorf("ten minutes later: got %q, want nothing", got)
					}
				})
			})
		}
	}
}

// TestBubblePanicStops has one crafted message stop an actor of each kind that is
// registered so: others hear what they hear when there is none, tree and health say
// why, and it can be registered again.
func TestBubblePanicStops(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				h, log := new(heard), newRecords()
				from := net.Start(k.cfg, kit.Quiet)
				to := net.Start(k.cfg, append(withTalk(), gamelan.WithLogger(slog.New(log)), k.option(h.New, gamelan.OnPanic(gamelan.PanicStop)))...)
				net.Connect(from, to)
				l := begin(t, from, to)
				stopped := 0
				ctx, cancel := context.WithCancel(t.Context())
				events := to.Events(ctx)
				var wg sync.WaitGroup
				wg.Go(func() {
					for e := range events {
						if f, ok := e.Value.(actors.ProtocolFailed); ok && f.Stopped && f.Name == k.name {
							stopped++
						}
					}
				})
				if err := k.send(t, from, to, "first"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				k.send(t, from, to, crafted)
				time.Sleep(time.Minute) // it is not tried again
				for range 3 {           // what was agreed before ends on the way
					k.send(t, from, to, "nobody hears this")
				}
				time.Sleep(time.Second)
				if name == "type" {
					if got, want := kit.Fates(to), "2 delivered, 3 handler failed"; got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				}
				if got := h.take(); fmt.Sprint(got) != "[first]" {
					t.Errorf("got %q, want what came before the stop", got)
				}
				l.goesOn(t, from, to)
				l.end()
				if err := from.Disconnect(t.Context(), to.ID()); err != nil {
					t.Fatal(err)
				}
				net.Connect(from, to)
				gone := k.send(t, from, to, "nobody hears this")
				switch {
				case name == "handler":
					if gone == nil || !strings.Contains(gone.Error(), "refused") {
						t.Errorf("got %v, want that it is refused", gone)
					}
				case !errors.Is(gone, map[string]error{"protocol": negotiate.ErrUnsupported, "spawned": supervisor.ErrNoActor}[name]):
					t.Errorf("got %v, want what is said of none", gone)
				}
				i := kit.InfoOf(t, to, k.name)
				if i.State != supervisor.StateFailed || !i.NextRestart.IsZero() || i.LastFailure == nil || h.lives != 1 {
					t.Errorf("got %s after %d lives, next try %v, failure %v; want it failed for good", i.State, h.lives, i.NextRestart, i.LastFailure)
				}
				time.Sleep(time.Hour)
				reasons := to.Inspection().Degraded(t.Context()).Texts()
				if len(reasons) != 1 || !strings.HasPrefix(reasons[0], "your actor extensions/"+k.name+" has stopped after a panic 1h1m") {
					t.Errorf("got %q, want that it has stopped", reasons)
				}
				kit.Says(t, to.Node, codes.OwnStopped)
				if all := log.take(); len(all) != 1 || !strings.HasPrefix(all[0], "ERROR your code panicked") || !strings.Contains(all[0], "then=it has stopped for good") {
					t.Errorf("got %q, want one record", all)
				}

				again := []func() error{func() error { return k.register(to.Node, t.Context(), h.New) }}
				if k.leave != nil { // stop it once more, and take it out first
					again = append(again, func() error {
						if err := k.leave(to.Node, t.Context()); err != nil {
							return err
						}
						synctest.Wait() // the peer hears that its substream was reset; a message until then is in doubt
						return k.register(to.Node, t.Context(), h.New, gamelan.OnPanic(gamelan.PanicStop))
					})
				}
				for round, register := range again {
					h.take()
					if err := register(); err != nil {
						t.Fatalf("round %d: register again: %v", round, err)
					}
					if err := k.send(t, from, to, "again"); err != nil {
						t.Errorf("round %d: after that: %v", round, err)
					}
					time.Sleep(time.Second)
					if got := h.take(); fmt.Sprint(got) != "[again]" {
						t.Errorf("round %d: got %q, want what was sent", round, got)
					}
					if got := to.Inspection().Degraded(t.Context()).Texts(); len(got) != 0 {
						t.Errorf("round %d: got %q, want a node that is well", round, got)
					}
				}
				cancel()
				wg.Wait()
				if stopped != 1 {
					t.Errorf("got %d events of the stop, want 1", stopped)
				}
				kit.WantNoCredit(t, from, to)
			})
		})
	}
}

// TestBubblePanicsOfOwnMessages has the user's own code send what an actor panics
// on: each policy but contain and stop falls back on the restarts of any actor.
func TestBubblePanicsOfOwnMessages(t *testing.T) {
	for policy, want := range map[gamelan.PanicPolicy]string{
		gamelan.PanicRestart: "failed, 5 restarts, 0 contained",
		gamelan.PanicContain: "running, 0 restarts, 8 contained",
		gamelan.PanicStop:    "failed, 0 restarts, 0 contained",
	} {
		t.Run(policy.String(), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				h, log := new(heard), newRecords()
				k := kinds["spawned"]
				n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithLogger(slog.New(log)), k.option(h.New, gamelan.OnPanic(policy)))
				panics := 0
				for range 8 {
					if errors.Is(k.send(t, nil, n, crafted), supervisor.ErrFailed) {
						panics++
					}
					time.Sleep(5 * time.Second)
				}
				i := kit.InfoOf(t, n, "clerk")
				if got := fmt.Sprintf("%s, %d restarts, %d contained", i.State, i.Restarts, i.Contained); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if got := len(log.take()); got != panics {
					t.Errorf("got %d records of %d panics, want one each", got, panics)
				}
				time.Sleep(30 * time.Second)
				if err := k.send(t, nil, n, "after a while"); (err == nil) != (policy != gamelan.PanicStop) {
					t.Errorf("half a minute later: got %v", err)
				}
			})
		})
	}
}

// TestBubblePanickingMethod has a method panic under each policy: the caller hears
// status 6 from our client and in bytes, its session goes on unless the service
// stops, the peer stays connected, and there is one record each.
func TestBubblePanickingMethod(t *testing.T) {
	for _, policy := range []gamelan.PanicPolicy{gamelan.PanicRestart, gamelan.PanicContain, gamelan.PanicStop} {
		t.Run(policy.String(), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				log := newRecords()
				s := new(kit.Service)
				offered := s.Service()
				offered.OnPanic = policy
				server := net.Start(gamelan.Config{}, append(withTalk()[1:], gamelan.WithLogger(slog.New(log)), gamelan.WithService(offered))...)
				client := net.Start(gamelan.Config{}, kit.Quiet)
				net.Connect(client, server)
				p := &kit.Pair{Net: net, Server: server, Client: client, Service: s, Calls: client.RPC().Client(server.ID(), kit.TestService)}
				stream, err := client.OpenStream(t.Context(), server.ID(), kit.TestService)
				if err != nil {
					t.Fatal(err)
				}
				w := kit.RawSession{T: t, Stream: stream}
				w.Send(kit.Hello)
				w.Expect(kit.Accepted)
				ref, _ := client.Connection(server.ID())
				request := func(id byte) { // of method 4, with ten seconds and the text "panic"
					w.Send(fmt.Sprintf("0000000f 08%02x 1004 200a 52070a0570616e6963", id))
				}
				request(1)
				if r := w.Response(); r.ID != 1 || r.Status != rpc.General || r.Flags != onecall.FIN || string(r.Payload) != "the service failed" {
					t.Errorf("got %+v %q, want status 6", r, r.Payload)
				}
				if policy == gamelan.PanicStop {
					w.Ends()
				} else {
					for i := range 10 {
						_, err := rpc.Call[kit.Text, kit.Text](t.Context(), p.Calls, kit.Fail, wrapperspb.String("panic"))
						var status *rpc.Error
						if !errors.As(err, &status) || status.Status != rpc.General {
							t.Errorf("call %d: got %v, want status 6", i, err)
						}
					}
					request(2)
					if r := w.Response(); r.ID != 2 || r.Status != rpc.General {
						t.Errorf("got %+v on the same session, want status 6", r)
					}
					p.MustGreet(t)
					if n := kit.Sessions(server); n != 2 {
						t.Errorf("got %d sessions, want the two of the beginning", n)
					}
					w.Close()
				}
				time.Sleep(time.Second)
				panics := map[bool]int{false: 12, true: 1}[policy == gamelan.PanicStop]
				all := log.take()
				for _, line := range all {
					for _, part := range []string{"your code panicked", "service=test/rpc/1", "peer=" + client.ID().String(), "message=method 4", "panic=on purpose"} {
						if !strings.Contains(line, part) || strings.Contains(line, "stack=") {
							t.Errorf("got the record %q, want %q and no stack in it", line, part)
						}
					}
				}
				if len(all) != panics {
					t.Errorf("got %d records, want %d", len(all), panics)
				}
				if now, ok := client.Connection(server.ID()); !ok || now.ID != ref.ID {
					t.Errorf("got %v, want the connection of the beginning", now)
				}
				reasons := fmt.Sprint(server.Inspection().Degraded(t.Context()).Texts())
				if policy != gamelan.PanicStop {
					if want := `your service "test/rpc/1" panicked 12 times in the last 10 minutes, last`; !strings.Contains(reasons, want) {
						t.Errorf("got %s, want %s", reasons, want)
					}
					p.Idle(t)
					return
				}
				if want := `your service "test/rpc/1" has stopped after a panic`; !strings.Contains(reasons, want) {
					t.Errorf("got %s, want %s", reasons, want)
				}
				if _, err := p.Greet(t.Context(), "again"); err == nil {
					t.Error("got an answer of a service that has stopped")
				}
				gamelantest.Crash(server.Node, "services/rpc", "to start again") // it stays stopped
				gamelantest.Healed(t, server.Node)
				if _, offers := nodetest.Trunk(server).Protocols().Get(kit.TestService); offers {
					t.Error("the service is offered again after a restart of its actor")
				}
				if err := server.RPC().Register(t.Context(), offered); err != nil {
					t.Fatal(err)
				}
				p.MustGreet(t)
				if got := server.Inspection().Degraded(t.Context()).Texts(); len(got) != 0 {
					t.Errorf("got %q, want a node that is well", got)
				}
			})
		})
	}
}

// TestBubbleBlame has the application blame a peer: the third time within a minute
// closes its connection, without a ban; seldom enough, nothing happens.
func TestBubbleBlame(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b, c := net.Start(gamelan.Config{}, kit.Quiet), net.Start(gamelan.Config{}, kit.Quiet), net.Start(gamelan.Config{}, kit.Quiet)
		net.Connect(a, b)
		net.Connect(c, b)
		for range 6 {
			b.Peers().Blame(a.ID(), "a bad coin")
			time.Sleep(31 * time.Second)
		}
		if _, ok := b.Connection(a.ID()); !ok {
			t.Fatal("two in a minute: got no connection")
		}
		for range 3 {
			b.Peers().Blame(a.ID(), "a bad coin")
		}
		time.Sleep(time.Second)
		if _, ok := b.Connection(a.ID()); ok {
			t.Error("three at once: got a connection, want it closed")
		}
		if last := nodetest.Trunk(b).Closed(); len(last) != 1 || last[0].Ref.Peer != a.ID() || last[0].Reason.String() != "blamed by us: a bad coin" && !strings.Contains(last[0].Reason.String(), "a bad coin") {
			t.Errorf("got %+v, want the connection blamed", last)
		}
		if _, ok := b.Connection(c.ID()); !ok {
			t.Error("got no connection to another peer")
		}
		if _, _, banned := b.Peers().Banned(a.ID()); banned {
			t.Error("got a ban")
		}
		b.Peers().Blame(a.ID(), "while it is not connected")
		net.Connect(a, b)
	})
}

// TestBubblePanicsAreSummedUp has a peer send crafted messages as fast as it can:
// the log gets 60 records in a minute, and how many more there were.
func TestBubblePanicsAreSummedUp(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		h, log := new(heard), newRecords()
		from, to := net.Start(gamelan.Config{}, kit.Quiet), net.Start(gamelan.Config{}, gamelan.WithLogger(slog.New(log)), gamelan.WithHandler(h.New))
		net.Connect(from, to)
		for range 200 {
			if err := kinds["handler"].send(t, from, to, crafted); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		all := log.take()
		if len(all) != 61 || !strings.Contains(all[60], "more panics of your code actor="+to.Inspection().Tree().PID().Id+"/extensions/handler n=140") {
			t.Errorf("got %d records, the last %q; want 60 and the number of the others", len(all), all[len(all)-1])
		}
	})
}

// TestBubblePanicsInTheTree shows a stopped actor as the tree prints it.
func TestBubblePanicsInTheTree(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := new(heard)
		k := kinds["spawned"]
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, kit.Quiet, k.option(h.New, gamelan.OnPanic(gamelan.PanicStop)))
		k.send(t, nil, n, crafted)
		synctest.Wait()
		tree, err := inspect.Look(t.Context(), inspect.FromRoot(n.Inspection().Tree(), n.System()), n.Inspection().Tree().PID().Id, -1)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := inspect.Text(&b, tree, inspect.TextOptions{}); err != nil {
			t.Fatal(err)
		}
		shown := regexp.MustCompile(`(_test\.go):\d+`).ReplaceAllString(b.String(), "$1:NN")
		if want := "failed: assignment to entry in nil map at panics_test.go:NN · stopped for good by its panic policy"; !strings.Contains(shown, want) {
			t.Errorf("got\n%s\nwant %q in it", shown, want)
		}
	})
}

// TestBubbleLayerPanics has a layer panic on 20 messages of a peer, one after the
// other: the peer keeps its connection and is heard afterwards, each panic has its
// record, and the node says that it is degraded.
func TestBubbleLayerPanics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard, log := kit.NewLetters(), newRecords()
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}}
		from := net.Start(cfg)
		to := net.Start(cfg, gamelan.WithLogger(slog.New(log)), gamelan.WithType(1000, heard.New),
			gamelan.WithLayer(dht.BeforeDeliver, func(next dht.Handler) dht.Handler {
				return func(m *dht.Incoming) dht.Verdict {
					if strings.Contains(string(m.Parts[1]), "bad") {
						panic("a bug of the layer")
					}
					return next(m)
				}
			}))
		net.Connect(from, to)
		before, _ := to.Connection(from.ID())
		for i := range 20 {
			kit.Post(t, from, to, kit.Letter(t, from, 1000, fmt.Sprint("bad ", i), kit.InClear))
			time.Sleep(time.Second)
		}
		kit.Post(t, from, to, kit.Letter(t, from, 1000, "good", kit.InClear))
		time.Sleep(time.Second)
		synctest.Wait()
		kit.WantBodies(t, "the handler", heard.Bodies(1000, from), []string{"good"})
		if got, want := kit.Fates(to), "1 delivered, 20 panicked"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if after, ok := to.Connection(from.ID()); !ok || after != before {
			t.Error("got another connection, want the one from before")
		}
		records := 0
		for _, r := range log.take() {
			if strings.Contains(r, "your code panicked") && strings.Contains(r, "layer=before deliver") && strings.Contains(r, "a bug of the layer") {
				records++
			}
		}
		if records != 20 {
			t.Errorf("got %d records, want 20", records)
		}
		if got := strings.Join(to.Inspection().Degraded(t.Context()).Texts(), "; "); !strings.Contains(got, "your layer before deliver panicked 20 times in the last 10 minutes, last 2s ago on dht message at panics_test.go:") {
			t.Errorf("got %q, want the layer's panics", got)
		}
		kit.WantNoCredit(t, from, to)
	})
}
