package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// leavingPeer is a peer that goes away when it has heard so many messages, and is back
// after so many further tries.
type leavingPeer struct {
	mu     sync.Mutex
	leave  int // after so many messages; it leaves once
	tries  int // that fail; negative: all further ones
	heard  []string
	failed int
	doubts int    // tries of "doubt" that end in doubt; negative: all
	agent  string // user agent
}

func (p *leavingPeer) Resolve(_ context.Context, peer string) (string, error) {
	if peer != fakePeer {
		return "", errors.New("no peer " + peer + " is known")
	}
	return peer, nil
}

func (p *leavingPeer) Send(_ context.Context, m inspect.SendRequest) (inspect.Pending, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case string(m.Body) == "expire":
		return settled{Outcome: models.OutcomeFailed, Reason: "expired"}, nil
	case string(m.Body) == "doubt" && p.doubts != 0:
		p.doubts--
		return settled{Outcome: models.OutcomeInDoubt, Reason: "connection lost"}, nil
	case len(p.heard) == p.leave && p.tries != 0:
		p.tries--
		p.failed++
		return settled{Outcome: models.OutcomeFailed, Reason: "dial failed", Detail: "connection refused"}, nil
	}
	p.heard = append(p.heard, string(m.Body))
	return settled{Outcome: models.OutcomeConfirmed}, nil
}

// back lets so many further tries fail.
func (p *leavingPeer) back(tries int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries = tries
}

// sent are the outcomes of a send, and what it said.
type sent struct {
	outcomes map[uint64]string
	said     []string
	rest     uint64
}

// sendRetry sends text through a node whose only peer is p. It calls begin when p is away.
func sendRetry(ctx context.Context, t *testing.T, p *leavingPeer, s outlast.Sending, text io.Reader, whole bool, begin func()) (got sent, err error) {
	t.Helper()
	d := nodedir.Named(t.TempDir())
	var sections inspect.Sections
	sections.Section("peers", func(context.Context) any { return []models.Peer{{NodeID: fakePeer, UserAgent: p.agent}} })
	server, err := daemon.Serve(d, inspect.Options{Source: fakeSource{}, Sections: &sections}, inspect.Actions{Sender: p}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(t.Context())
	got.outcomes = map[uint64]string{}
	err = outlast.Retry(ctx, client.New(d.Path, client.Options{}), s, client.NewInput(text, whole), outlast.Answers[models.Sent]{
		Each: func(s models.Sent, _ bool) error {
			if _, twice := got.outcomes[s.N]; twice {
				t.Errorf("message %d has two outcomes", s.N)
			}
			got.outcomes[s.N] = s.Outcome.Outcome
			return nil
		},
		End:  func() error { return nil },
		Rest: func(n uint64, _ error) error { got.rest = n; return nil },
	}, outlast.Away{
		Begin: func(o models.Outcome) {
			got.said = append(got.said, "away: "+cmp.Or(o.Detail, o.Reason))
			begin()
		},
		Over: func() { got.said = append(got.said, "back") },
		Limit: func(o models.Outcome, rest bool) {
			text := "limit: " + o.Reason
			if rest {
				text += ", rest"
			}
			got.said = append(got.said, text)
		},
	})
	return got, err
}

func numbered(n int) *strings.Reader {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d\n", i+1)
	}
	return strings.NewReader(b.String())
}

// TestRetryBurnsNoLine: of many lines to a peer that goes away in between, each arrives
// once and in order.
func TestRetryBurnsNoLine(t *testing.T) {
	t.Parallel()
	const n = 20000
	p := &leavingPeer{leave: 7000, tries: -1}
	got, err := sendRetry(t.Context(), t, p, outlast.Sending{Sending: client.Sending{Peer: fakePeer}}, numbered(n), false, func() { p.back(1) })
	if err != nil || len(got.outcomes) != n {
		t.Fatalf("got %d outcomes, %v, want %d", len(got.outcomes), err, n)
	}
	for i := range n {
		if want := fmt.Sprint(i + 1); len(p.heard) != n || p.heard[i] != want || got.outcomes[uint64(i+1)] != models.OutcomeConfirmed {
			t.Fatalf("message %s: %d heard, and %q in its place, outcome %q", want, len(p.heard), p.heard[min(i, len(p.heard)-1)], got.outcomes[uint64(i+1)])
		}
	}
	if strings.Join(got.said, ", ") != "away: connection refused, back" {
		t.Errorf("got %q said", got.said)
	}
}

// counted counts what is read of r.
type counted struct {
	r io.Reader
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// TestRetryReadsNothingWhileAway: while the peer is away, the input stands still.
func TestRetryReadsNothingWhileAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &leavingPeer{tries: -1}
	in := &counted{r: numbered(1_000_000)}
	all := int64(in.r.(*strings.Reader).Len())
	got, err := sendRetry(ctx, t, p, outlast.Sending{Sending: client.Sending{Peer: fakePeer}}, in, false, cancel)
	read := in.n.Load()
	if phrases.Of(err, nodedir.Dir{}, "").Kind != "interrupted" || got.rest == 0 {
		t.Fatalf("got %v, %d read, want an interrupted send", err, got.rest)
	}
	if p.failed > 300_000 || read > all/2 {
		t.Errorf("got %d messages tried, and %d of %d bytes read", p.failed, read, all)
	}
	for n := range got.rest {
		if o := got.outcomes[n+1]; o != models.OutcomeFailed {
			t.Fatalf("message %d: got %q, want it failed", n+1, o)
		}
	}
}

// TestRetryEndsBesideAnOpenInput: an input that has nothing to say for now keeps no send from
// its end, neither by Ctrl-C after an absence nor by a message without an outcome.
func TestRetryEndsBesideAnOpenInput(t *testing.T) {
	t.Parallel()
	open, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := &leavingPeer{leave: 1, tries: 1}
	go func() {
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
			p.mu.Lock()
			if len(p.heard) == 2 {
				time.AfterFunc(50*time.Millisecond, cancel)
				p.mu.Unlock()
				return
			}
			p.mu.Unlock()
		}
	}()
	ended := make(chan error, 2)
	go func() {
		_, err := sendRetry(ctx, t, p, outlast.Sending{Sending: client.Sending{Peer: fakePeer}}, io.MultiReader(strings.NewReader("a\nb\n"), open), false, func() {})
		ended <- err
		got, err := sendRetry(t.Context(), t, &leavingPeer{}, outlast.Sending{Sending: client.Sending{Peer: fakePeer, Timeout: time.Minute}}, io.MultiReader(strings.NewReader("expire\n"), open), false, func() {})
		if said := strings.Join(got.said, ", "); said != "limit: expired, rest" {
			t.Errorf("got %q said, want that the rest was not sent", said)
		}
		ended <- err
	}()
	for _, want := range []string{"interrupted", ""} {
		select {
		case err := <-ended:
			if want == "" && err != nil || want != "" && (err == nil || phrases.Of(err, nodedir.Dir{}, "").Kind != want) {
				t.Errorf("got %v, want %q", err, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the send did not end (%q)", want)
		}
	}
}

func TestRetryEnds(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, in string
		peer     *leavingPeer
		send     outlast.Sending
		whole    bool
		outcomes string
		said     string
	}{
		{"empty", "", &leavingPeer{}, outlast.Sending{}, false, "", ""},
		{"no line feed", "a\n\nb", &leavingPeer{}, outlast.Sending{}, false, "confirmed confirmed confirmed", ""},
		{"back at once", "a\nb", &leavingPeer{leave: 1, tries: 1}, outlast.Sending{}, false, "confirmed confirmed", "away: connection refused, back"},
		{"whole", "a\nb", &leavingPeer{tries: 1}, outlast.Sending{}, true, "confirmed", "away: connection refused, back"},
		{"away for too long", "a\nb", &leavingPeer{leave: 1, tries: -1}, outlast.Sending{Sending: client.Sending{Timeout: 10 * time.Millisecond}}, false, "confirmed failed", "away: connection refused, limit: dial failed"},
		{"no outcome for too long", "expire\n", &leavingPeer{}, outlast.Sending{Sending: client.Sending{Timeout: time.Minute}}, false, "failed", "limit: expired"},
		{"in doubt at another's node", "doubt\na", &leavingPeer{doubts: 1, agent: "tari/basenode/6.2.0"}, outlast.Sending{}, false, "in_doubt confirmed", ""},
		{"in doubt, again on request", "doubt\na", &leavingPeer{doubts: 1, agent: "tari/basenode/6.2.0"}, outlast.Sending{Sending: client.Sending{Resend: true}}, false, "confirmed confirmed", "away: connection lost, back"},
		{"in doubt", "doubt\na", &leavingPeer{doubts: 1, agent: "chat gamelan/1"}, outlast.Sending{}, false, "confirmed confirmed", "away: connection lost, back"},
		{"in doubt, at most once", "doubt\na", &leavingPeer{doubts: 1, agent: "gamelan/1"}, outlast.Sending{NoResend: true}, false, "in_doubt confirmed", ""},
		{
			"in doubt, then away for too long", "doubt", &leavingPeer{doubts: 1, tries: -1, agent: "gamelan/1"},
			outlast.Sending{Sending: client.Sending{Timeout: 10 * time.Millisecond}},
			false,
			"in_doubt", "away: connection lost, limit: dial failed",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			x.send.Peer = fakePeer
			got, err := sendRetry(t.Context(), t, x.peer, x.send, strings.NewReader(x.in), x.whole, func() {})
			if err != nil {
				t.Fatal(err)
			}
			var outcomes []string
			for n := range uint64(len(got.outcomes)) {
				outcomes = append(outcomes, got.outcomes[n+1])
			}
			said := strings.TrimSuffix(strings.Join(got.said, ", "), ", rest") // a busy machine sees the end of the input late
			if strings.Join(outcomes, " ") != x.outcomes || said != x.said {
				t.Errorf("got %q, said %q, want %q, %q", outcomes, got.said, x.outcomes, x.said)
			}
			if x.whole && (len(x.peer.heard) != 1 || x.peer.heard[0] != x.in) {
				t.Errorf("got %q heard, want %q in one message", x.peer.heard, x.in)
			}
		})
	}
}

// reading is a reader that calls begun, and then reads nothing until the test is over.
type reading struct {
	begun func()
	over  <-chan struct{}
}

func (r reading) Read([]byte) (int, error) {
	r.begun()
	<-r.over
	return 0, io.EOF
}

// TestRetryOfAnInputThatDoesNotEnd: of a message in all that is not read to its end, nothing is sent.
func TestRetryOfAnInputThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	p := new(leavingPeer)
	s := outlast.Sending{Sending: client.Sending{Peer: fakePeer}}
	_, err := sendRetry(t.Context(), t, p, s, io.MultiReader(strings.NewReader("a"), iotest.ErrReader(errors.New("is a directory"))), true, func() {})
	if err == nil || phrases.Of(err, nodedir.Dir{}, "").Kind != "file" || len(p.heard) > 0 {
		t.Errorf("got %v, and %q heard, want that the input cannot be read", err, p.heard)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = sendRetry(ctx, t, p, s, reading{cancel, t.Context().Done()}, true, func() {})
	if !errors.Is(err, context.Canceled) || len(p.heard) > 0 {
		t.Errorf("got %v, and %q heard, want an interrupted send", err, p.heard)
	}
	got, err := sendRetry(t.Context(), t, p, s, io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(errors.New("is a directory"))), false, func() {})
	if err == nil || phrases.Of(err, nodedir.Dir{}, "").Kind != "file" || got.outcomes[1] != models.OutcomeConfirmed || len(p.heard) != 1 {
		t.Errorf("got %v, %v, and %q heard, want the outcome of the line that was read", err, got, p.heard)
	}
}

// TestRetryOfWhatCannotBeSent: an unknown peer and a message that is too long fail at once.
func TestRetryOfWhatCannotBeSent(t *testing.T) {
	_, err := sendRetry(t.Context(), t, &leavingPeer{}, outlast.Sending{Sending: client.Sending{Peer: "x"}}, strings.NewReader("a\n"), false, func() {})
	if client.CodeOf(err) != inspect.CodeUnknownPeer {
		t.Errorf("got %v, want an unknown peer", err)
	}
	long := bytes.Repeat([]byte("x"), inspect.DefaultMaxBody+10)
	got, err := sendRetry(t.Context(), t, &leavingPeer{}, outlast.Sending{Sending: client.Sending{Peer: fakePeer}}, io.MultiReader(bytes.NewReader(long), strings.NewReader("\nb\n")), false, func() {})
	if err != nil || got.outcomes[1] != models.OutcomeFailed || got.outcomes[2] != models.OutcomeConfirmed {
		t.Errorf("got %v, %v, want the first failed", got.outcomes, err)
	}
}

func TestWaitingPlain(t *testing.T) {
	p := fakePeers()
	for i, want := range []string{
		"Message 2 waits for e2f2ae0a6abc4e71: connected, but has not confirmed it yet; Ctrl-C gives it up, and --timeout does after a time.",
		"Message 2 waits for 9c01d2e4a1b2c3d4: not connected, and being dialled (failed 1d ago: connection refused); it is given up after 30s.",
	} {
		if got := new(render.Output).WaitingPlain(2, &p[i], render.There{}, time.Duration(i)*30*time.Second, time.Now()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWaitingGiven(t *testing.T) {
	const addr = "/ip4/192.0.2.1/tcp/9"
	for _, x := range []struct{ got, want string }{
		{new(render.Output).WaitingGiven(2, fakeKey+"::"+addr, 0), "Message 2 waits for e2f2ae0a6abc4e71: being dialled at " + addr + ", without an answer so far: it is away, it hangs, or a firewall drops it; Ctrl-C gives it up, and --timeout does after a time."},
		{new(render.Output).WaitingGiven(1, fakeKey+"::"+addr+"::"+addr, time.Minute), "Message 1 waits for e2f2ae0a6abc4e71: being dialled at " + addr + " and others, without an answer so far: it is away, it hangs, or a firewall drops it; it is given up after 1m0s."},
		{new(render.Output).Dialling(fakeKey+"::"+addr, &models.Peer{}), "e2f2ae0a6abc4e71 is being dialled at " + addr + ", without an answer so far: it is away, it hangs, or a firewall drops it; Ctrl-C ends the wait."},
		{new(render.Output).Dialling("0011", &fakePeers()[0]), "e2f2ae0a6abc4e71 is being dialled, without an answer so far: it is away, it hangs, or a firewall drops it; Ctrl-C ends the wait."},
	} {
		if x.got != x.want {
			t.Errorf("got %q, want %q", x.got, x.want)
		}
	}
}
