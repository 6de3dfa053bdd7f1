//go:build !nodisk

package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

var errOff = errors.New("the machine is off")

// job is what a worker has seen of one job.
type job struct {
	id      gamelan.MessageID
	seqs    map[uint64]bool
	handled int
	attempt int // the last one that was handled
}

// life is the time of a worker from its start to its kill.
type life struct {
	dead   bool
	inHand int // jobs
}

// TestKeptOverKills: of the jobs of three producers none is lost, none is kept twice, and only what was in hand at a kill, or had
// just left it, is handled again, with the same id and a higher attempt, though the worker is killed at any time, or its power is cut.
func TestKeptOverKills(t *testing.T) {
	for name, kill := range map[string]func(*gamelantest.Network, *gamelantest.Node){"kill": (*gamelantest.Network).Kill, "power": (*gamelantest.Network).PowerCut} {
		for outcome, want := range map[string]gamelan.SendOption{"kept": gamelan.Kept(), "handled": gamelan.Handled()} {
			t.Run(name+" "+outcome, func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) { keptOverKills(t, kill, want) })
			})
		}
	}
}

func keptOverKills(t *testing.T, kill func(*gamelantest.Network, *gamelantest.Node), want gamelan.SendOption) {
	jobs, kills := 150, 8
	seed := uint64(1)
	if os.Getenv("GAMELAN_LONG") != "" {
		jobs, kills, seed = 300, 20, rand.Uint64()
	}
	t.Logf("seed %d", seed)
	random, pauses := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1)) // random is guarded by mu
	net := gamelantest.NewNetwork(t)
	cfg := gamelan.Config{DataDir: net.DataDir(), Listen: []string{"/memory/9"}}
	var mu sync.Mutex
	seen := map[string]*job{}
	again, begun := 0, 0
	start := func() (*gamelantest.Node, *life) {
		now := new(life)
		return net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
			mu.Lock()
			if now.dead {
				mu.Unlock()
				return errOff
			}
			took := time.Duration(1+random.IntN(60)) * time.Millisecond
			defer func() {
				mu.Unlock()
				time.Sleep(took) // the effect is there, and the job goes on
				mu.Lock()
				now.inHand--
				mu.Unlock()
			}()
			now.inHand++
			begun++
			j := seen[string(m.Body)]
			if j == nil {
				j = &job{id: m.ID, seqs: map[uint64]bool{}}
				seen[string(m.Body)] = j
			}
			j.seqs[m.Seq] = true
			if j.handled++; j.handled > 1 {
				again++
				if m.ID != j.id || m.Attempt <= j.attempt {
					t.Errorf("%s: got it again with the id %v and attempt %d, want %v and more than %d", m.Body, m.ID, m.Attempt, j.id, j.attempt)
				}
			}
			j.attempt = m.Attempt
			return nil
		})), now
	}
	worker, now := start()
	id := worker.ID()
	var producers sync.WaitGroup
	for p := range 3 {
		from := net.Start(gamelan.Config{})
		net.Connect(from, worker)
		net.SetLinkBetween(from, worker, memory.Link{Latency: time.Millisecond})
		producers.Go(func() {
			for i := range jobs / 3 {
				body := fmt.Sprintf("%d-%d", p, i)
				out, err := from.Send(t.Context(), id, []byte(body), want, gamelan.Until(time.Hour))
				if err != nil || out.Kind != protocol.Confirmed {
					t.Errorf("%s: got %v, %v", body, out, err)
				}
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(pauses.IntN(1500)) * time.Millisecond) // they are connected again after about a second
		mu.Lock()
		for end := time.Now().Add(time.Hour); now.inHand == 0 && len(seen) < jobs && time.Now().Before(end); { // one is interrupted
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
		}
		now.dead = true
		mu.Unlock()
		kill(net, worker)
		time.Sleep(time.Duration(pauses.IntN(2000)) * time.Millisecond)
		worker, now = start()
	}
	producers.Wait()
	time.Sleep(time.Minute)
	mu.Lock()
	defer mu.Unlock()
	for body, j := range seen {
		if len(j.seqs) != 1 {
			t.Errorf("%s was kept %d times", body, len(j.seqs))
		}
	}
	if len(seen) != jobs || again > 2*kills || again == 0 {
		t.Errorf("got %d of %d jobs handled, and %d handled again over %d kills", len(seen), jobs, again, kills)
	}
	if n := worker.Inbox().Status().Messages; n != 0 {
		t.Errorf("got %d messages left", n)
	}
	t.Logf("%d handled, %d of them again", begun, again)
}
