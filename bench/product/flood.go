package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Flood is gamelan/flood-N-peers: peers in a process of their own send messages
// of 1 KiB as fast as they are let, to a handler that takes a tenth of that and
// less. They have the processors' time that the node leaves, as if they ran elsewhere. For the
// first half of d another peer exchanges bytes on a substream of its own; then the memory is
// watched, until d is over and it has not grown for a second.
func Flood(peers int, d time.Duration) harness.Case {
	name := fmt.Sprintf("gamelan/flood-%d-peers", peers)
	return harness.Case{
		Name: strings.Replace(name, "-1-peers", "-1-peer", 1), Fresh: true, Rounds: 1, Limit: 5*d + 2*time.Minute,
		Run: func(m *harness.Meter) error { return flood(m, peers, d) },
	}
}

// slowness is what the slow handler does with each message.
const slowness = 200 * time.Microsecond

func flood(m *harness.Meter, peers int, d time.Duration) (err error) {
	s := &nodes{ctx: m.Context()}
	defer func() { err = errors.Join(err, s.close()) }()
	var handled atomic.Uint64
	var over atomic.Bool
	defer over.Store(true)
	slow := handle(func(c actor.Context) {
		if _, ok := c.Message().(actors.Received); ok && !over.Load() {
			time.Sleep(slowness)
			handled.Add(1)
		}
	})
	to, err := s.start(gamelan.Config{MaxInbound: peers + 100}, slow, serve(func(s protocol.Stream) error {
		_, err := io.Copy(s, s)
		return err
	}))
	if err != nil {
		return err
	}
	other, err := s.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		return err
	}
	if err := connect(s.ctx, other, to); err != nil {
		return err
	}
	flooders, err := startOther(s.ctx, flooderVariable+"="+to.Seed()+" "+strconv.Itoa(peers), elsewhere()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flooders.stop()) }()

	quiet, err := echoes(s.ctx, other, to, d/4)
	if err != nil {
		return err
	}
	before := harness.HeapAndStacks()
	if err := flooders.begin(); err != nil {
		return err
	}
	begin, first := time.Now(), handled.Load()
	busy, err := echoes(s.ctx, other, to, d/2)
	if err != nil {
		return err
	}
	growth, grew := int64(0), begin
	for time.Since(begin) < d || time.Since(grew) < time.Second && time.Since(begin) < 4*d {
		if now := harness.HeapAndStacks() - before; now > growth {
			growth, grew = now, time.Now()
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	m.Report("heap growth bytes", float64(growth))
	m.Report("p99 of others ratio", float64(p99(busy))/float64(p99(quiet)))
	m.Report("handled/s", float64(handled.Load()-first)/time.Since(begin).Seconds())
	return m.Latencies(busy)
}

// echoes exchanges single bytes on a substream, one after another.
func echoes(ctx context.Context, from, to *gamelan.Node, d time.Duration) (all []time.Duration, err error) {
	s, err := from.OpenStream(ctx, to.ID(), benchProtocol)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	one := []byte{1}
	for end := time.Now().Add(d); ; {
		begin := time.Now()
		if begin.After(end) {
			return all, nil
		}
		if _, err := s.Write(one); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(s, one); err != nil {
			return nil, err
		}
		all = append(all, time.Since(begin))
	}
}

func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*99/100]
}

// flooderVariable holds the seed of the node to flood, in a process that does
// nothing else; the number of peers follows a space.
const flooderVariable = "GAMELAN_BENCH_FLOOD"

// Flooder is the other process of Flood: it does that and reports true if this
// is one.
func Flooder() (was bool, err error) {
	text, was := os.LookupEnv(flooderVariable)
	if !was {
		return false, nil
	}
	seed, number, _ := strings.Cut(text, " ")
	peers, err := strconv.Atoi(number)
	if err != nil {
		return true, err
	}
	s := shared(context.Background())
	errs := make(chan error, peers)
	var ready sync.WaitGroup
	start := make(chan struct{})
	for range peers {
		n, err := s.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
		if err != nil {
			return true, err
		}
		id, err := n.Peers().AddSeed(s.ctx, seed)
		if err != nil {
			return true, err
		}
		if _, err := n.Dial(s.ctx, id); err != nil {
			return true, err
		}
		ready.Add(1)
		go func() {
			ready.Done()
			<-start
			for body := payload(1 << 10); ; {
				if _, err := n.Submit(s.ctx, id, body); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	ready.Wait()
	return true, untilTold("ready", func() error {
		close(start)
		return nil
	}, errs)
}
