package interop

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// connectLimit is how long anything but bulk traffic may take, also on a machine
// that has much to do.
const connectLimit = 2 * time.Minute

const echoID protocol.ID = "t/echo/1"

func newSecret(t *testing.T) *identity.Secret {
	t.Helper()
	s, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ours is a node of ours that counts what it hears and echoes substreams.
type ours struct {
	*gamelan.Node
	t *testing.T
	*hearing
}

func startOurs(t *testing.T, cfg gamelan.Config, opts ...gamelan.Option) *ours {
	t.Helper()
	if cfg.DHT == nil && !cfg.NoDHT { // as a node of Tari's comms library that has none
		cfg.NoDHT, cfg.PlainOnProfile = true, true
	}
	h := &hearing{from: make(map[identity.NodeID]*arrived)}
	opts = append([]gamelan.Option{
		gamelan.WithLogger(slog.New(slog.NewTextHandler(logTo(), nil))),
		gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return h }),
		gamelan.WithProtocol(echoID, newEcho),
	}, opts...)
	n, err := gamelan.Start(t.Context(), cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.slow(0)
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &ours{n, t, h}
}

func logTo() io.Writer {
	if os.Getenv("GAMELAN_INTEROP_LOG") != "" {
		return os.Stderr
	}
	return io.Discard
}

// hearing counts messages by sender.
type hearing struct {
	mu    sync.Mutex
	from  map[identity.NodeID]*arrived
	delay time.Duration // after each message
	gate  chan struct{} // nil: open
}

// Receive counts a message, and takes its time if it is told to.
func (h *hearing) Receive(c actor.Context) {
	m, ok := c.Message().(actors.Received)
	if !ok {
		return
	}
	h.mu.Lock()
	a := h.from[m.Peer]
	if a == nil {
		a = new(arrived)
		h.from[m.Peer] = a
	}
	a.add(m.Body)
	delay, gate := h.delay, h.gate
	h.mu.Unlock()
	if gate != nil {
		<-gate
	}
	time.Sleep(delay)
}

// heard is what has come of a peer so far.
func (h *hearing) heard(peer identity.NodeID) arrived {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.from[peer]; a != nil {
		return a.clone()
	}
	return arrived{}
}

func (h *hearing) slow(delay time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.delay = delay
}

// block stops the handler in the middle of the next message.
func (h *hearing) block() (unblock func()) {
	gate := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = gate
	return sync.OnceFunc(func() {
		h.mu.Lock()
		h.gate = nil
		h.mu.Unlock()
		close(gate)
	})
}

// echo sends back what it reads on each substream, until its end.
type echo struct{}

func newEcho(*gamelan.Node) actor.Actor { return echo{} }

func (echo) Receive(c actor.Context) {
	m, ok := c.Message().(actors.SubstreamOpened)
	if !ok {
		return
	}
	if s, ok := m.Stream.Take(); ok {
		supervisor.Go(c, "echo", s, func(context.Context) error {
			if _, err := io.Copy(s, s); err != nil {
				return err
			}
			if err := s.CloseWrite(); err != nil {
				return err
			}
			return s.Close()
		})
	}
}

// pair starts one node of each kind and connects them.
func pair(t *testing.T, release string, who dialer) (*ours, *tari) {
	t.Helper()
	n, p := startOurs(t, gamelan.Config{}), startTari(t, release)
	connect(t, n, p, who)
	return n, p
}

func connect(t *testing.T, n *ours, p *tari, who dialer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	if who == theyDial {
		p.knowsNode(n.Node)
		p.must("dial", args{"peer": n.PublicKey().String()}, nil)
		if err := n.WaitOnline(ctx, 1); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := n.Peers().AddSeed(ctx, p.seed()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Dial(ctx, p.id); err != nil {
		known, _ := n.Peers().Get(p.id)
		t.Fatalf("%v; it listens on %s, known are %v", err, p.addr, known.Addresses)
	}
	gamelantest.Eventually(t, connectLimit, "the connection at the Tari node", func() bool { return len(p.links()) == 1 })
}

// tally counts outcomes, and remembers that of each number.
type tally struct {
	of    map[uint64]protocol.Outcome
	count map[protocol.OutcomeKind]uint64
}

func (s tally) String() string {
	text := fmt.Sprintf("%d confirmed, %d in doubt, %d failed", s.count[protocol.Confirmed], s.count[protocol.InDoubt], s.count[protocol.Failed])
	for n, out := range s.of {
		if out.Kind != protocol.Confirmed {
			return text + fmt.Sprintf(", such as %d: %v", n, out)
		}
	}
	return text
}

// sendAll sends a batch and waits for every outcome.
func (n *ours) sendAll(ctx context.Context, to identity.NodeID, b batch, opts ...gamelan.SendOption) (tally, error) {
	s := tally{make(map[uint64]protocol.Outcome), make(map[protocol.OutcomeKind]uint64)}
	type sent struct {
		number  uint64
		pending *gamelan.Pending[gamelan.Outcome]
	}
	under := make(chan sent, 1<<16)
	failed := make(chan error, 1)
	go func() {
		defer close(under)
		for i := b.first; i < b.first+b.count; i++ {
			p, err := n.Submit(ctx, to, numbered(i, b.size), opts...)
			if err != nil {
				failed <- fmt.Errorf("message %d: %w", i, err)
				return
			}
			under <- sent{i, p}
		}
	}()
	for m := range under {
		out := m.pending.Wait(ctx)
		s.of[m.number] = out
		s.count[out.Kind]++
	}
	select {
	case err := <-failed:
		return s, err
	default:
		return s, nil
	}
}
