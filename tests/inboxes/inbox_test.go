package inboxes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

func kept(t *testing.T, n *gamelantest.Node, want int) {
	t.Helper()
	synctest.Wait()
	if s := n.Inbox().Status(); s.Messages != want || s.InHand != 0 {
		t.Errorf("got %d messages kept, %d in hand, want %d and none", s.Messages, s.InHand, want)
	}
}

// TestBubbleInbox: what nobody acknowledges comes again, in order; listeners
// share, and a copy has everything and takes nothing.
func TestBubbleInbox(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from := net.Start(gamelan.Config{})
		to := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(from, to)
		want := kit.Numbered("message", 3000)
		for _, body := range want {
			kit.Enqueue(t, from, to, body)
		}
		time.Sleep(time.Second)
		kept(t, to, 3000)
		kit.WantBodies(t, "a listener that acknowledges one of five", kit.Take(t, to, 5, 1, gamelan.ListenOptions{}), want[:5])
		kept(t, to, 2999)
		kit.WantBodies(t, "a copy", kit.Take(t, to, 2999, 0, gamelan.ListenOptions{All: true}), want[1:])
		kept(t, to, 2999)
		kit.WantBodies(t, "one that asks for three", kit.Take(t, to, 3, 3, gamelan.ListenOptions{Most: 3}), want[1:4])

		// Two at once: each message goes to one of them.
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan string, 5000)
		for range 2 {
			go func() {
				for m, err := range to.Inbox().Listen(ctx, gamelan.ListenOptions{}) {
					if err == nil {
						err = to.Inbox().Ack(ctx, m.Seq)
					}
					if err != nil {
						return
					}
					got <- string(m.Body)
				}
			}()
		}
		time.Sleep(time.Minute / 2)
		kit.Enqueue(t, from, to, "late")
		time.Sleep(time.Second)
		kept(t, to, 0)
		cancel()
		synctest.Wait()
		close(got)
		var all []string
		for body := range got {
			all = append(all, body)
		}
		slices.Sort(all)
		rest := append(slices.Clone(want[4:]), "late")
		slices.Sort(rest)
		kit.WantBodies(t, "two that share", all, rest)
		if s := to.Inbox().Status(); s.Listeners != 0 || s.Received != 3001 || s.Acked != 3001 {
			t.Errorf("got %+v, want nobody that listens, and 3,001 acknowledged", s)
		}
	})
}

// TestBubbleInboxHung: what a listener holds for a minute without a sign goes to
// another one, but for the message that its loop is at. With Wait that goes as well.
func TestBubbleInboxHung(t *testing.T) {
	t.Run("a loop that handles", func(t *testing.T) { inboxHung(t, gamelan.ListenOptions{}, "second") })
	t.Run("one that hands on", func(t *testing.T) { inboxHung(t, gamelan.ListenOptions{Wait: true}, "first") })
}

func inboxHung(t *testing.T, o gamelan.ListenOptions, want string) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from, to := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(from, to)
		for _, text := range []string{"done soon", "first", "second"} {
			kit.Enqueue(t, from, to, text)
		}
		time.Sleep(time.Second)
		release := make(chan struct{})
		go func() {
			for m := range to.Inbox().Listen(t.Context(), o) {
				if string(m.Body) == "done soon" { // so it gets two at once
					to.Inbox().Ack(t.Context(), m.Seq)
					continue
				}
				<-release
				return
			}
		}()
		time.Sleep(time.Second)
		if s := to.Inbox().Status(); s.InHand != 2 {
			t.Fatalf("got %+v, want both in hand", s)
		}
		began := time.Now()
		var got time.Duration
		for m := range to.Inbox().Listen(t.Context(), gamelan.ListenOptions{}) {
			if got = time.Since(began); string(m.Body) != want {
				t.Errorf("another listener had %q first, want %q", m.Body, want)
			}
			break
		}
		if got < inboxpart.HandTimeout-2*time.Second || got > inboxpart.HandTimeout+time.Second {
			t.Errorf("the other listener had it after %v, want about %v", got, inboxpart.HandTimeout)
		}
		close(release)
		synctest.Wait()
	})
}

// TestBubbleInboxIdleCopier: the keeper sleeps while a listener that copies waits, and another one has messages for too long.
func TestBubbleInboxIdleCopier(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var ticks atomic.Int64
		count := gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/extensions/handler") && strings.Contains(point, "dueTick") {
				ticks.Add(1)
			}
		})
		from, to := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), count)
		net.Connect(from, to)
		kit.Enqueue(t, from, to, "hello")
		ctx, stop := context.WithCancel(t.Context())
		var loops sync.WaitGroup
		for _, all := range []bool{false, true} {
			loops.Go(func() {
				for range to.Inbox().Listen(ctx, gamelan.ListenOptions{All: all}) {
					if !all {
						<-ctx.Done()
					}
				}
			})
		}
		time.Sleep(10 * time.Minute)
		stop()
		loops.Wait()
		if n := ticks.Load(); n > 20 {
			t.Errorf("the keeper woke %d times within ten minutes, want once a minute", n)
		}
	})
}

// TestBubbleInboxHandedBack: a listener that has got all it asked for and ends
// without an acknowledgement, by itself or by its name, leaves everything to the
// next one, at once and in order.
func TestBubbleInboxHandedBack(t *testing.T) {
	for name, end := range map[string]func(to *gamelantest.Node, cancel func()) error{
		"end":       func(_ *gamelantest.Node, cancel func()) error { cancel(); synctest.Wait(); return nil },
		"hand back": func(to *gamelantest.Node, _ func()) error { return to.Inbox().HandBack(context.Background(), "first") },
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				from, to := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
				net.Connect(from, to)
				want := kit.Numbered("message", 5)
				for _, body := range want {
					kit.Enqueue(t, from, to, body)
				}
				time.Sleep(time.Second)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan uint64, 10)
				listen := func() {
					var last uint64
					for m := range to.Inbox().Listen(ctx, gamelan.ListenOptions{Most: 3, Wait: true, Name: "first"}) {
						last = m.Seq
					}
					ended <- last
				}
				go listen()
				time.Sleep(time.Second)
				if s := to.Inbox().Status(); s.InHand != 3 || len(ended) != 0 {
					t.Fatalf("got %d in hand, %d listeners ended, want three with one that waits", s.InHand, len(ended))
				}
				if err := end(to, cancel); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				kit.WantBodies(t, "the next listener", kit.Take(t, to, 5, 2, gamelan.ListenOptions{}), want)
				if took := time.Since(began); took > time.Second {
					t.Errorf("it had to wait %v, want them at once", took)
				}
				<-ended
				if err := to.Inbox().HandBack(t.Context(), "first"); err != nil {
					t.Errorf("nobody has that name: got %v, want nothing", err)
				}

				// What is acknowledged ends the wait.
				ctx, cancel = context.WithCancel(t.Context())
				defer cancel()
				go listen()
				time.Sleep(time.Second)
				began = time.Now()
				s := to.Inbox().Status()
				if s.InHand != 3 {
					t.Fatalf("got %+v, want three in hand", s)
				}
				if err := to.Inbox().Ack(t.Context(), 3, 4, 5); err != nil {
					t.Fatal(err)
				}
				if last := <-ended; last != 5 || time.Since(began) > time.Second {
					t.Errorf("the listener ended after %v with message %d, want it at once with 5", time.Since(began), last)
				}
				kept(t, to, 0)
			})
		})
	}
}

// TestBubbleInboxSlowAcks: a listener that has got all it asked for and acknowledges them one by one, with less
// than AckGrace between two, keeps them: no other listener gets one.
func TestBubbleInboxSlowAcks(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from, to := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(from, to)
		for _, body := range kit.Numbered("message", 4) {
			kit.Enqueue(t, from, to, body)
		}
		time.Sleep(time.Second)
		seqs, ended := make(chan uint64, 3), make(chan time.Time, 1)
		go func() {
			for m := range to.Inbox().Listen(t.Context(), gamelan.ListenOptions{Most: 3, Wait: true}) {
				seqs <- m.Seq
			}
			ended <- time.Now()
		}()
		synctest.Wait()
		others := make(chan uint64, 4)
		go func() {
			for m := range to.Inbox().Listen(t.Context(), gamelan.ListenOptions{}) {
				others <- m.Seq
			}
		}()
		for range 3 {
			time.Sleep(inboxpart.AckGrace - time.Second)
			if err := to.Inbox().Ack(t.Context(), <-seqs); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(others); n != 1 {
			t.Errorf("another listener got %d messages, want the fourth alone", n)
		}
		if at := <-ended; time.Since(at) > time.Second {
			t.Errorf("the listener ended %v ago, want with the last acknowledgement", time.Since(at))
		}
	})
}

// TestBubbleInboxHandedBackOverCrash has the inbox's actor fail on the end of a
// listener that is handed back: that is told as soon as the actor works again.
func TestBubbleInboxHandedBackOverCrash(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var crash atomic.Bool
		fault := gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/extensions/handler") && strings.Contains(point, "leave") && crash.CompareAndSwap(true, false) {
				panic("crash on purpose: " + point)
			}
		})
		from, to := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), fault, kit.Quiet)
		net.Connect(from, to)
		kit.Enqueue(t, from, to, "hello")
		time.Sleep(time.Second)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range to.Inbox().Listen(t.Context(), gamelan.ListenOptions{Name: "first"}) {
			}
		}()
		time.Sleep(time.Second)
		crash.Store(true)
		began := time.Now()
		if err := to.Inbox().HandBack(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); crash.Load() || took > time.Second {
			t.Errorf("it took %v, crash still to come %v, want it at once over a crash", took, crash.Load())
		}
		<-ended
		kit.WantBodies(t, "the next listener", kit.Take(t, to, 1, 1, gamelan.ListenOptions{}), []string{"hello"})
	})
}

// TestBubbleInboxFull: a full inbox stops plain senders, who lose nothing. A quarter of it is
// for messages over the DHT: those beyond their sender's share are dropped, and counted
// where drops are told.
func TestBubbleInboxFull(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}, PlainID: "gamelan/msg/1"})
		to := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}, PlainID: "gamelan/msg/1"}, gamelan.WithInbox(gamelan.InboxConfig{MaxMessages: 20, Types: []int32{1225}}))
		net.Connect(from, to)
		want := kit.Numbered(strings.Repeat("x", 64<<10), 100)
		var pending []*gamelan.Pending[gamelan.Outcome]
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, body := range want {
				p, err := from.Submit(t.Context(), to.ID(), []byte(body))
				if err != nil {
					t.Errorf("enqueue: %v", err)
					return
				}
				pending = append(pending, p)
			}
		}()
		time.Sleep(20 * time.Second)
		s := to.Inbox().Status()
		if s.Messages != 15 || !s.Full || s.Waiting == 0 || s.Waiting > 20 || s.Received >= 60 {
			t.Fatalf("got %+v, want 15 kept, and some that wait with their credit, and the others at the sender", s)
		}
		for _, body := range []string{"far", "farther", "farthest"} {
			out, err := from.DHT().Submit(t.Context(), dht.Message{To: dht.Direct{Peer: to.ID()}, Type: 1225, Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			out.Wait(t.Context())
		}
		synctest.Wait()
		section := to.Inspection().Node(t.Context())
		if in := section.Inbox; in == nil || in.Dropped != 1 || !in.Full || in.Messages != 17 || in.DHTMessages != 2 || in.MaxMessagesOfKind != 15 || in.Level() != 1 {
			t.Errorf("got %+v of the section, want it full, two kept of those over the DHT and one dropped", section.Inbox)
		}
		if !strings.Contains(fmt.Sprint(section.Warnings), "the inbox is full, with 15 messages of connected peers") || !strings.Contains(fmt.Sprint(section.Warnings), "1 message over the DHT was dropped") {
			t.Errorf("got warnings %q, want one that it is full and one of the drop", section.Warnings)
		}
		kit.Says(t, to.Node, codes.InboxFull)
		kit.Says(t, to.Node, codes.InboxDropped)
		if got := strings.Count(fmt.Sprint(section.Warnings), "the inbox is full"); got != 1 {
			t.Errorf("got %d warnings that it is full, want one: %q", got, section.Warnings)
		}
		answer := httptest.NewRecorder()
		inspect.Handler(to.Inspection().Options).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/healthz", nil))
		var health inspect.HealthReport
		if err := json.Unmarshal(answer.Body.Bytes(), &health); err != nil {
			t.Fatal(err)
		}
		if answer.Code != 200 || !health.OK || len(health.Degraded) != 1 || !strings.HasPrefix(health.Degraded[0].What, "the inbox is full, with 15 messages of connected peers") {
			t.Errorf("got /healthz %d %+v, want 200 and degraded by the full inbox", answer.Code, health)
		}
		value, err := to.Inspection().Sections.Value(t.Context(), "dht")
		if d, ok := value.(models.DHT); err != nil || !ok || !slices.ContainsFunc(d.Inbound, func(c models.DHTCount) bool { return c.Reason == models.ReasonInboxFull && c.Count == 1 }) {
			t.Errorf("got %+v, %v, want one counted as inbox full", value, err)
		}
		kit.WantBodies(t, "the listener", kit.Take(t, to, 102, 102, gamelan.ListenOptions{}), slices.Insert(slices.Clone(want), 15, "far", "farther"))
		<-done
		for i, p := range pending {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("message %d: got %v, want confirmed", i, out)
			}
		}
		kept(t, to, 0)
		if w := to.Inspection().Node(t.Context()).Warnings.Texts(); strings.Contains(fmt.Sprint(w), "full, with") {
			t.Errorf("got warnings %q, want none that it is full", w)
		}
		if got := to.Inspection().Degraded(t.Context()).Texts(); len(got) != 0 {
			t.Errorf("got %q with an empty inbox, want a node that is not degraded", got)
		}
	})
}

// TestBubbleInboxStandingPeers has as many peers as would use up all inbound
// credit stand still before a full inbox: calls of another peer, and what it
// sends over the DHT, come through at once.
func TestBubbleInboxStandingPeers(t *testing.T) {
	for name, size := range map[string]int{"small": 4 << 10, "large": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				const peers, each = 20, 256 << 10
				net := gamelantest.NewNetwork(t)
				quietly := gamelan.Config{}
				cfg := gamelan.Config{NodeCredit: 8 << 20, PeerCredit: each}
				to := kit.StartMember(net, cfg, gamelan.WithInbox(gamelan.InboxConfig{MaxMessages: 1}), gamelan.WithService(new(kit.Service).Service()))
				other := kit.StartMember(net, quietly)
				net.Connect(other.Node, to.Node)
				body := strings.Repeat("x", size)
				var pending []*gamelan.Pending[gamelan.Outcome]
				for range peers {
					from := net.Start(quietly)
					net.Connect(from, to.Node)
					for range 2*each/size + 1 {
						pending = append(pending, kit.Enqueue(t, from, to.Node, body))
					}
				}
				time.Sleep(20 * time.Second)
				used, limit, _, _ := nodetest.Trunk(to).Credit()
				if used < limit/4 || used > limit/16*7 {
					t.Fatalf("got %d bytes of %d held by peers that stand still, want between four and seven sixteenths of them", used, limit)
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				far := strings.Repeat("y", 100<<10)
				got, err := rpc.Call[kit.Blob, kit.Blob](ctx, other.RPC().Client(to.ID(), kit.TestService), kit.Echo, wrapperspb.Bytes([]byte(far)))
				if err != nil || string(got.GetValue()) != far {
					t.Errorf("got %d bytes, %v from a call, want the echo", len(got.GetValue()), err)
				}
				kit.Send(t, other, kit.LetterTo(dht.Direct{Peer: to.ID()}, far))
				gamelantest.Eventually(t, 5*time.Second, "the message over the DHT", func() bool { return to.Heard.Len() == 1 })
				if took := time.Since(began); took > time.Second {
					t.Errorf("both took %v, want them at once", took)
				}
				kit.Take(t, to.Node, len(pending), len(pending), gamelan.ListenOptions{})
				for i, p := range pending {
					if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
						t.Errorf("message %d: got %v, want confirmed", i, out)
					}
				}
			})
		})
	}
}

// TestBubbleInboxCopyOverCrash has the inbox's actor fail while a copy stands
// still: what others have acknowledged is gone, and the copy is told how much.
func TestBubbleInboxCopyOverCrash(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var crash atomic.Bool
		fault := gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/extensions/handler") && strings.Contains(point, "ack") && crash.CompareAndSwap(true, false) {
				panic("crash on purpose: " + point)
			}
		})
		from := net.Start(gamelan.Config{})
		to := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), fault, kit.Quiet)
		net.Connect(from, to)
		for _, body := range kit.Numbered("early", 5) {
			kit.Enqueue(t, from, to, body)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		goOn := make(chan struct{})
		got := make(chan gamelan.Message, 100)
		go func() {
			defer close(got)
			for m, err := range to.Inbox().Listen(ctx, gamelan.ListenOptions{All: true}) {
				if err != nil {
					return
				}
				got <- m
				<-goOn
			}
		}()
		synctest.Wait() // it has the first, and was told of five
		for _, body := range kit.Numbered("unseen", 3) {
			kit.Enqueue(t, from, to, body)
		}
		time.Sleep(time.Second)
		kit.Take(t, to, 8, 7, gamelan.ListenOptions{})
		crash.Store(true)
		kit.Take(t, to, 1, 1, gamelan.ListenOptions{})
		if crash.Load() {
			t.Fatal("nothing has crashed")
		}
		kit.Enqueue(t, from, to, "last")
		time.Sleep(20 * time.Second)
		close(goOn)
		time.Sleep(20 * time.Second)
		cancel()
		var seen []string
		for m := range got {
			seen = append(seen, fmt.Sprintf("%s after %d lost", m.Body, m.Lost))
		}
		kit.WantBodies(t, "the copy", seen, []string{
			"early 0 after 0 lost", "early 1 after 0 lost", "early 2 after 0 lost", "early 3 after 0 lost", "early 4 after 0 lost", // read at once
			"last after 3 lost",
		})
	})
}

// TestBubbleInboxCrash has the inbox's actor fail while messages come and are
// acknowledged: nothing is lost, and nothing that was acknowledged comes again.
func TestBubbleInboxCrash(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var crash atomic.Int32
		fault := gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/extensions/handler") && crash.Load() > 0 && !strings.Contains(point, "actors.Received") {
				crash.Add(-1)
				panic("crash on purpose: " + point)
			}
		})
		from := net.Start(gamelan.Config{})
		to := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), fault, kit.Quiet)
		net.Connect(from, to)
		want := kit.Numbered("message", 4000)
		heard := make(map[string]int)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		acked := make(map[uint64]bool)
		go func() {
			defer close(done)
			for m, err := range to.Inbox().Listen(ctx, gamelan.ListenOptions{}) {
				if err == nil {
					err = to.Inbox().Ack(ctx, m.Seq)
				}
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("listener: %v", err)
					}
					return
				}
				if acked[m.Seq] {
					t.Errorf("message %d came again after it was acknowledged", m.Seq)
				}
				acked[m.Seq] = true
				heard[string(m.Body)]++
			}
		}()
		for i, body := range want {
			if i%800 == 400 {
				crash.Add(1)
				time.Sleep(20 * time.Second)
			}
			kit.Enqueue(t, from, to, body)
		}
		time.Sleep(time.Minute)
		cancel()
		<-done
		if crash.Load() != 0 {
			t.Fatalf("%d crashes did not happen", crash.Load())
		}
		for _, body := range want {
			if heard[body] != 1 {
				t.Errorf("%s: heard %d times, want once", body, heard[body])
			}
		}
		kept(t, to, 0)
	})
}
