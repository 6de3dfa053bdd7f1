package gamelan_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// peerBound is how many bytes of a peer a node without an inbox drops at most in an orderly
// stop, with the default settings: the credit of the peer, the window of its substream, and what
// the reader has read ahead.
const peerBound = 1<<20 + 1<<20 + 64<<10

// bodySet is a set of numbered messages.
type bodySet struct {
	mu sync.Mutex
	of map[uint64]int // length, by number
}

func (s *bodySet) add(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[uint64]int)
	}
	s.of[binary.BigEndian.Uint64(body)] = len(body)
}

// minus returns how many messages are in s and not in t, and their bytes.
func (s *bodySet) minus(t *bodySet) (messages, bytes int) {
	for n, size := range s.of {
		if _, ok := t.of[n]; !ok {
			messages, bytes = messages+1, bytes+size
		}
	}
	return messages, bytes
}

// pour has several senders send numbered messages of random sizes from a to b, each until one
// ends otherwise than confirmed, or ctx ends. It returns the confirmed ones; wait returns when
// all senders have ended.
func pour(t *testing.T, ctx context.Context, random *rand.Rand, a, b *gamelantest.Node) (confirmed *bodySet, wait func()) {
	confirmed = new(bodySet)
	senders, ahead, most := 1+random.IntN(50), 1+random.IntN(100), 8<<random.IntN(10)
	var all sync.WaitGroup
	for sender := range senders {
		seed := random.Uint64()
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			pending := make(chan *gamelan.Pending[gamelan.Outcome], ahead)
			bodies := make(chan []byte, ahead)
			over := make(chan struct{})
			all.Go(func() {
				defer close(over)
				for p := range pending {
					body := <-bodies
					if p.Wait(t.Context()).Kind != protocol.Confirmed {
						return
					}
					confirmed.add(body)
				}
			})
			defer close(pending)
			for i := uint64(0); ctx.Err() == nil; i++ {
				body := make([]byte, 8+random.IntN(most))
				binary.BigEndian.PutUint64(body, uint64(sender)<<32|i)
				p, err := a.Submit(t.Context(), b.ID(), body)
				if err != nil {
					return
				}
				select {
				case pending <- p:
					bodies <- body
				case <-over:
					return
				}
				if i%32 == 31 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return confirmed, all.Wait
}

// keptBodies starts the closed node anew and returns what its inbox has.
func keptBodies(t *testing.T, net *gamelantest.Network, cfg gamelan.Config, c gamelan.InboxConfig) *bodySet {
	t.Helper()
	kept := new(bodySet)
	n := net.Start(cfg, gamelan.WithInbox(c))
	synctest.Wait()
	all := n.Inbox().Status().Messages
	if all == 0 {
		return kept
	}
	for m, err := range n.Inbox().Listen(t.Context(), gamelan.ListenOptions{All: true, Most: all}) {
		if err != nil {
			t.Fatal(err)
		}
		kept.add(m.Body)
	}
	if len(kept.of) != all {
		t.Errorf("got %d messages kept, %d of them twice, want none twice", all, all-len(kept.of))
	}
	return kept
}

// droppedOf returns the messages and bytes that the log says nobody has handled.
func droppedOf(log *logLines) (messages, bytes int) {
	said := regexp.MustCompile(`nobody has handled.* messages=(\d+) bytes=(\d+) peers=`)
	for _, line := range log.lines {
		if m := said.FindStringSubmatch(line); m != nil {
			messages, _ = strconv.Atoi(m[1])
			bytes, _ = strconv.Atoi(m[2])
		}
	}
	return messages, bytes
}

// TestCloseRounds closes nodes under load, in rounds with random loads, and compares what was
// confirmed with what is left: with an inbox nothing of it is lost, also if the inbox is full;
// without one at most peerBound, and no more than the log says. GAMELAN_CLOSE_ROUNDS is the
// number of rounds of each kind: one, and three with GAMELAN_LONG.
func TestCloseRounds(t *testing.T) {
	rounds := 1
	if os.Getenv("GAMELAN_LONG") != "" {
		rounds = 3
	}
	if text := os.Getenv("GAMELAN_CLOSE_ROUNDS"); text != "" {
		rounds = must(strconv.Atoi(text))
	}
	withInbox := func(t *testing.T, random *rand.Rand, net *gamelantest.Network, c gamelan.InboxConfig, cut bool) (confirmed, lost int) {
		cfg := gamelan.Config{DataDir: t.TempDir()}
		a, b := net.Start(gamelan.Config{}), net.Start(cfg, gamelan.WithInbox(c))
		net.Connect(a, b)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		sent, wait := pour(t, ctx, random, a, b)
		time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		if cut {
			net.Cut(a, b)
			stop()
			wait()
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		a.Close(t.Context())
		wait()
		lost, _ = sent.minus(keptBodies(t, net, cfg, c))
		if lost > 0 {
			t.Errorf("got %d of %d confirmed messages lost, want none", lost, len(sent.of))
		}
		return len(sent.of), lost
	}
	for _, kind := range []struct {
		name  string
		round func(t *testing.T, random *rand.Rand, net *gamelantest.Network) (confirmed, lost int)
	}{
		{"inbox", func(t *testing.T, random *rand.Rand, net *gamelantest.Network) (int, int) {
			return withInbox(t, random, net, gamelan.InboxConfig{}, false)
		}},
		{"inbox, link cut", func(t *testing.T, random *rand.Rand, net *gamelantest.Network) (int, int) {
			return withInbox(t, random, net, gamelan.InboxConfig{}, true)
		}},
		{"full inbox", func(t *testing.T, random *rand.Rand, net *gamelantest.Network) (int, int) {
			return withInbox(t, random, net, gamelan.InboxConfig{MaxMessages: 1 + random.IntN(100)}, false)
		}},
		{"two at once", func(t *testing.T, random *rand.Rand, net *gamelantest.Network) (int, int) {
			var cfgs [2]gamelan.Config
			var nodes [2]*gamelantest.Node
			for i := range nodes {
				cfgs[i].DataDir = t.TempDir()
				nodes[i] = net.Start(cfgs[i], gamelan.WithInbox(gamelan.InboxConfig{MaxMessages: 100}))
			}
			net.Connect(nodes[0], nodes[1])
			there, wait := pour(t, t.Context(), random, nodes[0], nodes[1])
			back, waitToo := pour(t, t.Context(), random, nodes[1], nodes[0])
			time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
			began := time.Now()
			done := make(chan error)
			for _, n := range nodes {
				pause := time.Duration(random.IntN(2)*random.IntN(100)) * time.Millisecond
				go func() {
					time.Sleep(pause)
					done <- n.Close(t.Context())
				}()
			}
			for range nodes {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("Close took %v of virtual time, want less than the time of a node that does not answer", took)
			}
			wait()
			waitToo()
			lost, _ := there.minus(keptBodies(t, net, cfgs[1], gamelan.InboxConfig{}))
			lostToo, _ := back.minus(keptBodies(t, net, cfgs[0], gamelan.InboxConfig{}))
			if lost+lostToo > 0 {
				t.Errorf("got %d and %d of %d and %d confirmed messages lost, want none", lost, lostToo, len(there.of), len(back.of))
			}
			return len(there.of) + len(back.of), lost + lostToo
		}},
		{"handler", func(t *testing.T, random *rand.Rand, net *gamelantest.Network) (int, int) {
			handled, log := new(bodySet), new(logLines)
			each := time.Duration(random.IntN(2)*random.IntN(20)) * time.Millisecond
			handle := func(body []byte) {
				time.Sleep(each)
				handled.add(body)
			}
			option := gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error { handle(m.Body); return nil })
			if random.IntN(2) == 0 {
				option = gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { handle(m.Body) }))
			}
			a := net.Start(gamelan.Config{})
			b := net.Start(gamelan.Config{}, option, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			net.Connect(a, b)
			sent, wait := pour(t, t.Context(), random, a, b)
			time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+random.IntN(10))*time.Second)
			defer cancel()
			if err := b.Close(ctx); err != nil {
				t.Error(err)
			}
			a.Close(t.Context())
			wait()
			messages, bytes := sent.minus(handled)
			said, saidBytes := droppedOf(log)
			if messages > said || bytes > saidBytes || bytes > peerBound {
				t.Errorf("got %d of %d confirmed messages lost, %d bytes; want at most the %d and %d bytes of the log, and %d",
					messages, len(sent.of), bytes, said, saidBytes, peerBound)
			}
			return len(sent.of), messages
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			confirmed, lost := 0, 0
			for round := range rounds {
				gamelantest.Bubble(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(uint64(round), uint64(len(kind.name))))
					net := gamelantest.NewNetwork(t)
					net.SetLink(memory.Link{Latency: time.Duration(random.IntN(20)) * time.Millisecond})
					c, l := kind.round(t, random, net)
					confirmed, lost = confirmed+c, lost+l
				})
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			t.Logf("%d rounds, %d confirmed, %d lost", rounds, confirmed, lost)
		})
	}
}
