package hostile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// quiet is for nodes whose warnings are what the test provokes.
var quiet = gamelan.WithLogger(slog.New(slog.DiscardHandler))

// target is the node under attack.
type target struct {
	*gamelantest.Node
	t     *testing.T
	net   *gamelantest.Network
	heard *gamelantest.Collector // messages

	mu     sync.Mutex
	events []any

	rejections int // that the test has looked at
	served     int // nodes
}

// bubble attacks a node in virtual time; afterwards the node must still serve
// others and be whole, and leave no goroutine.
func bubble(t *testing.T, attack func(t *testing.T, n *target), opts ...gamelan.Option) {
	t.Helper()
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{}, opts...)
		attack(t, n)
		n.serves()
	})
}

// plainly has plain messages on the profile's messaging protocol, so that peers
// made by hand need not write messages of the DHT. A config with the DHT stays as
// it is.
func plainly(cfg gamelan.Config) gamelan.Config {
	if cfg.DHT != nil {
		return cfg
	}
	cfg.NoDHT, cfg.PlainOnProfile = true, true
	return cfg
}

// start starts a node to attack.
func start(t *testing.T, cfg gamelan.Config, opts ...gamelan.Option) *target {
	t.Helper()
	n := &target{t: t, net: gamelantest.NewNetwork(t), heard: gamelantest.NewCollector()}
	n.Node = n.net.Start(plainly(cfg), append([]gamelan.Option{quiet, gamelan.WithHandler(n.heard.New)}, opts...)...)
	n.watch()
	return n
}

// watch remembers what the node says happens to it.
func (n *target) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	n.t.Cleanup(cancel)
	begun := make(chan struct{})
	go func() {
		first := true
		for e := range n.Events(ctx) {
			if first {
				first = false
				close(begun)
			}
			n.mu.Lock()
			n.events = append(n.events, e.Value)
			n.mu.Unlock()
		}
	}()
	// Something happens that costs nothing: a ban of nobody is announced.
	nobody := secretOf(999_999).NodeID()
	for {
		n.System().Root.Send(nodetest.Trunk(n).Peers(), peerbook.BanPeer{Peer: nobody, For: time.Nanosecond, Reason: "a test begins"})
		select {
		case <-begun:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// happened returns the events of one type so far.
func happened[E any](n *target) (all []E) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.events {
		if e, ok := e.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// rejected waits for the end of the next set-up that fails, which must name the stage and the
// cause.
func (n *target) rejected(stage string, cause error) actors.InboundRejected {
	n.t.Helper()
	var got actors.InboundRejected
	gamelantest.Eventually(n.t, time.Minute, "a rejected connection", func() bool {
		all := happened[actors.InboundRejected](n)
		if len(all) <= n.rejections {
			return false
		}
		got = all[n.rejections]
		n.rejections++
		return true
	})
	if got.Stage != stage {
		n.t.Errorf("stage: got %q (%v), want %q", got.Stage, got.Err, stage)
	}
	if !errors.Is(got.Err, cause) {
		n.t.Errorf("cause: got %v, want one that wraps %q", got.Err, cause)
	}
	if got.Err != nil && !strings.Contains(got.Err.Error(), stage) {
		n.t.Errorf("error: got %q, want %q in it", got.Err, stage)
	}
	return got
}

// disconnected waits for the end of a peer's connection.
func (n *target) disconnected(peer identity.NodeID, code string, cause error) actors.CloseReason {
	n.t.Helper()
	var got *actors.CloseReason
	gamelantest.Eventually(n.t, 3*time.Minute, "the end of the connection", func() bool {
		for _, e := range happened[actors.PeerDisconnected](n) {
			if e.Peer == peer {
				got = &e.Reason
			}
		}
		return got != nil
	})
	if code != "" && got.Code != code {
		n.t.Errorf("reason: got %v, want %q", got, code)
	}
	if cause != nil && !errors.Is(got.Err, cause) {
		n.t.Errorf("cause: got %v, want one that wraps %q", got.Err, cause)
	}
	return *got
}

// banned checks for how long a peer is banned; 0 is not at all. A ban must be
// announced and refuse a further connection.
func (n *target) banned(peer identity.NodeID, want time.Duration) {
	n.t.Helper()
	time.Sleep(time.Second) // the ban follows the end
	until, reason, ok := n.Peers().Banned(peer)
	if ok != (want > 0) {
		n.t.Errorf("ban: got %v (%s), want one of %v", ok, reason, want)
	}
	if !ok || want == 0 {
		return
	}
	if left := time.Until(until); left > want || left < want-30*time.Second {
		n.t.Errorf("ban: got %v left, want about %v", left, want)
	}
	if reason == "" {
		n.t.Error("ban: got no reason")
	}
	announced := false
	for _, e := range happened[actors.PeerBanned](n) {
		announced = announced || e.Peer == peer
	}
	if !announced {
		n.t.Error("ban: got no event")
	}
}

// serves checks that a stranger can connect and have a message confirmed, and
// that every actor runs.
func (n *target) serves() {
	n.t.Helper()
	n.served++
	other := n.net.Start(plainly(gamelan.Config{}), quiet)
	n.net.Connect(other, n.Node)
	body := fmt.Sprintf("served %d", n.served)
	out, err := other.Send(n.t.Context(), n.ID(), []byte(body))
	if err != nil || out.Kind != protocol.Confirmed {
		n.t.Errorf("another node: got %v, %v, want confirmed", out, err)
	}
	gamelantest.Eventually(n.t, time.Minute, "the other node's message", func() bool {
		return slices.Contains(n.heard.Bodies(), body)
	})
	gamelantest.Healed(n.t, n.Node.Node)
	for _, info := range n.Inspection().Tree().Snapshot() {
		if info.Incarnation > 1 {
			n.t.Errorf("%s: got restarted after %v", info.Path, info.LastFailure)
		}
	}
}

// depth is the number of messages that wait in all mailboxes of the node.
func (n *target) depth() (total int) {
	for _, info := range n.Inspection().Tree().Snapshot() {
		total += info.Depth
	}
	return total
}

// slow is a link on which a dial takes long.
var slow = memory.Link{Latency: 10 * time.Second}
