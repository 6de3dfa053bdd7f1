package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func wantOutcome(t *testing.T, what string, got gamelan.Outcome, err error, kind protocol.OutcomeKind, reason protocol.Reason) {
	t.Helper()
	want := protocol.Outcome{Kind: kind, Reason: reason}
	if err != nil || got.Kind != kind || got.Reason != reason {
		t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
	}
}

func TestSendsThatFail(t *testing.T) {
	ctx := t.Context()
	n, deaf, gone := start(t, gamelan.Config{}, nil), start(t, gamelan.Config{}, nil), start(t, gamelan.Config{}, nil)
	for _, peer := range []*gamelan.Node{deaf, gone} {
		if _, err := n.Peers().AddSeed(ctx, peer.Seed()); err != nil {
			t.Fatal(err)
		}
	}
	if err := gone.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		peer   identity.NodeID
		size   int
		reason protocol.Reason
	}{
		"itself":          {n.ID(), 1, protocol.Refused}, // it has no handler
		"unknown":         {identity.NodeID{1}, 1, protocol.NoPeer},
		"not there":       {gone.ID(), 1, protocol.DialFailed},
		"without handler": {deaf.ID(), 1, protocol.Refused},
		"too long":        {deaf.ID(), 8<<20 + 1, protocol.TooLong},
	} {
		out, err := n.Send(ctx, c.peer, make([]byte, c.size))
		wantOutcome(t, name, out, err, protocol.Failed, c.reason)
	}
}

func TestSendTheLongestAndTheShortest(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Introduce(a, b)
		for i, size := range []int{0, 1, 8 << 20} {
			out, err := a.Send(t.Context(), b.ID(), []byte(strings.Repeat("x", size)))
			wantOutcome(t, "send", out, err, protocol.Confirmed, protocol.ReasonNone)
			synctest.Wait()
			if got := heard.Messages(); len(got) != i+1 || len(got[i].Body) != size {
				t.Fatalf("got %d messages, want one more of %d bytes", len(got), size)
			}
		}
	})
}

func TestSendWhoseContextEnds(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Introduce(a, b)
		send := func() (gamelan.Outcome, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			defer func() {
				if took := time.Since(began); took > 1100*time.Millisecond {
					t.Errorf("got an outcome after %v, want one when the context ends", took)
				}
			}()
			return a.Send(ctx, b.ID(), []byte("hello"))
		}
		net.Partition(a, b)
		out, err := send()
		wantOutcome(t, "not written", out, err, protocol.Failed, protocol.Expired)
		net.Heal(a, b)
		out, err = send()
		wantOutcome(t, "healed", out, err, protocol.Confirmed, protocol.ReasonNone)
		net.Partition(a, b)
		out, err = send()
		wantOutcome(t, "written and not proven", out, err, protocol.InDoubt, protocol.Expired)
		net.Heal(a, b)

		over, cancel := context.WithCancel(t.Context())
		cancel()
		if out, err := a.Send(over, b.ID(), nil); err == nil && out.Kind == 0 {
			t.Errorf("with a context that has ended: got neither an outcome nor an error")
		}
	})
}

// TestSendToAPeerThatTakesNothing waits for credit.
func TestSendToAPeerThatTakesNothing(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		net.Partition(a, b)
		body := make([]byte, 256<<10)
		var pending []*gamelan.Pending[gamelan.Outcome]
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			p, err := a.Submit(ctx, b.ID(), body)
			cancel()
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want that the time is over", err)
				}
				break
			}
			pending = append(pending, p)
		}
		if len(pending) != 3 {
			t.Errorf("got %d messages accepted, want 3 of 256 KiB and their overhead in 1 MiB", len(pending))
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, p := range pending {
			wantOutcome(t, "after Close", p.Wait(t.Context()), nil, protocol.Failed, protocol.Closed)
			wantOutcome(t, "asked again", p.Wait(t.Context()), nil, protocol.Failed, protocol.Closed)
		}
		net.Heal(a, b)
	})
}

func TestDoneOfManyMessages(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Introduce(a, b)
		for range 10 {
			p, err := a.Submit(t.Context(), b.ID(), []byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				<-p.Done()
				wantOutcome(t, "done", p.Result(), nil, protocol.Confirmed, protocol.ReasonNone)
				<-p.Done() // and again
				wantOutcome(t, "waited for", p.Wait(t.Context()), nil, protocol.Confirmed, protocol.ReasonNone)
			}()
		}
	})
}

// TestSendToARetiredSession sends in the moment in which the idle session of
// the peer takes nothing more, and gives up in the same moment.
func TestSendToARetiredSession(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard)), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		const idle, grace = 30 * time.Second, 10 * time.Millisecond
		retire := func() {
			t.Helper()
			net.Heal(a, b)
			time.Sleep(time.Minute) // whatever dial there was is over
			if err := a.Peers().Forget(t.Context(), b.ID()); err != nil {
				t.Fatal(err)
			}
			if err := a.Disconnect(t.Context(), b.ID()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // whatever session there was is gone
			net.Introduce(a, b)
			net.Partition(a, b)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			out, err := a.Send(ctx, b.ID(), nil) // makes a session, which is idle from then on
			wantOutcome(t, "to nobody", out, err, protocol.Failed, protocol.Expired)
			net.Heal(a, b)
			time.Sleep(idle + grace)
			if _, ok := nodetest.Trunk(a).Plain().Sessions.Get(b.ID()); ok {
				t.Fatal("got a session, want one that has just retired")
			}
		}

		retire()
		out, err := a.Send(t.Context(), b.ID(), []byte("hello"))
		wantOutcome(t, "to the next session", out, err, protocol.Confirmed, protocol.ReasonNone)

		retire()
		net.Partition(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), grace)
		defer cancel()
		began := time.Now()
		out, err = a.Send(ctx, b.ID(), []byte("hello"))
		wantOutcome(t, "given up", out, err, protocol.Failed, protocol.Expired)
		if took := time.Since(began); took > time.Second {
			t.Errorf("given up: got an outcome after %v, want it at once", took)
		}

		// With a connection, over which the next session could send it.
		retire()
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), grace)
		defer cancel()
		out, err = a.Send(ctx, b.ID(), []byte("hello"))
		wantOutcome(t, "given up while connected", out, err, protocol.Failed, protocol.Expired)
		time.Sleep(time.Minute)

		// The session crashes before it is stopped.
		retire()
		net.SetLink(slowLink)
		if !gamelantest.Crash(a.Node, "services/plain/"+b.ID().String(), "a bug") {
			t.Fatal("got no session")
		}
		synctest.Wait()
		out, err = a.Send(t.Context(), b.ID(), []byte("hello again"))
		wantOutcome(t, "after a crash", out, err, protocol.Confirmed, protocol.ReasonNone)
		if got, want := heard.Bodies(), []string{"hello", "hello again"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q: not what was given up", got, want)
		}
	})
}

// TestSessionsOfPeersThatAreGone has a handler that still works on a message
// when its peer goes.
func TestSessionsOfPeersThatAreGone(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Introduce(a, b)
		unblock := heard.Block()
		out, err := a.Send(t.Context(), b.ID(), []byte("hello"))
		wantOutcome(t, "send", out, err, protocol.Confirmed, protocol.ReasonNone)
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		unblock()
		time.Sleep(2 * time.Minute)
		for _, n := range []*gamelantest.Node{a, b} {
			if got := nodetest.Trunk(n).Plain().Sessions.Len(); got != 0 {
				t.Errorf("node %d: got %d sessions, want none", n.Number, got)
			}
		}
	})
}

// TestResend loses connections under messages that ask for another try.
func TestResend(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(slowLink)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard)), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New), gamelan.WithLogger(discard))
		net.Connect(a, b)
		for i := range 20 {
			p, err := a.Submit(t.Context(), b.ID(), []byte{byte(i)}, gamelan.Resend())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i) * 5 * time.Millisecond)
			net.Cut(a, b)
			wantOutcome(t, "send", p.Wait(t.Context()), nil, protocol.Confirmed, protocol.ReasonNone)
		}
		synctest.Wait()
		next := byte(0)
		for _, m := range heard.Messages() {
			if m.Body[0] > next {
				t.Fatalf("got message %d, want %d first", m.Body[0], next)
			}
			next = max(next, m.Body[0]+1)
		}
		if next != 20 {
			t.Errorf("got %d messages, want 20", next)
		}
	})
}

// TestSendToPeersThatRefuse has the likely cause in the outcome and in the other node's log:
// the peer is of another network, or has banned this node.
func TestSendToPeersThatRefuse(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		log := new(logLines)
		other := net.Start(gamelan.Config{Profile: gamelantest.Profile(protocol.Igor)}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		banning, a := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		if err := banning.Peers().Ban(t.Context(), a.ID(), time.Hour, "a test"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			peer *gamelantest.Node
			want []string
		}{
			{other, []string{"set-up failed at noise: the peer closed the connection before the handshake and gave no reason: it is busy, has its greatest number of connections (there: max_inbound, or max_inbound_per_source for those of this node's address), refuses this node, or is of another network (this node: localnet, wire byte 0x10)"}},
			{banning, []string{"set-up with ", " failed at identity: peer hung up", "; the peer may have banned this node"}},
		} {
			net.Introduce(a, c.peer)
			out, err := a.Send(t.Context(), c.peer.ID(), []byte("hello"))
			wantOutcome(t, "send", out, err, protocol.Failed, protocol.Refused)
			for _, want := range c.want {
				if !strings.Contains(fmt.Sprint(out.Err), want) {
					t.Errorf("got %v, want %q in it", out.Err, want)
				}
			}
		}
		if got := log.with("level=WARN", `msg="refused a connection: its first byte is not that of this network"`, `err="wire byte 0x10 (localnet), expected 0x24 (igor)"`, "addr=/memory/"); got != 1 {
			t.Errorf("got %d lines about the other network, want 1: %q", got, log.lines)
		}
		time.Sleep(2 * time.Minute)
		if got := log.with("within a minute", "n=1", "addr=/memory/"); got != 1 {
			t.Errorf("got %d lines about the second attempt, want 1: %q", got, log.lines)
		}
		if p := other.Inspection().Node(t.Context()).Places; p.OtherNetwork != 2 || p.Refused != 0 {
			t.Errorf("got %+v, want 2 connections of another network", p)
		}
	})
}

// TestInDoubtSaysWhyTheConnectionEnded loses the way to a peer: the outcome names the ping
// without an answer, or the request that closed the connection.
func TestInDoubtSaysWhyTheConnectionEnded(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		for name, c := range map[string]struct {
			end  func()
			want string
		}{
			"no answer to a ping": {func() {}, "in doubt: connection lost: no answer by network: no answer to a ping within "},
			"banned here": {func() {
				if err := a.Peers().Ban(t.Context(), b.ID(), time.Hour, "a test"); err != nil {
					t.Fatal(err)
				}
			}, "in doubt: connection lost: banned by us"},
		} {
			net.Connect(a, b)
			if out, err := a.Send(t.Context(), b.ID(), []byte("first")); err != nil || out.Kind != gamelan.Confirmed {
				t.Fatalf("%s: got %v, %v, want the substream open", name, out, err)
			}
			net.Partition(a, b)
			p, err := a.Submit(t.Context(), b.ID(), []byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.end()
			if out := p.Wait(t.Context()); !strings.HasPrefix(out.String(), c.want) || strings.Contains(out.String(), "use of closed") {
				t.Errorf("%s: got %q, want %q", name, out, c.want)
			}
			net.Heal(a, b)
			time.Sleep(2 * time.Minute)
			if err := a.Peers().Unban(t.Context(), b.ID()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
