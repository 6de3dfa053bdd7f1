package anchors

import (
	"bufio"
	"io"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/yamux"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// streamPair is one yamux stream (hashicorp, window 256 KiB, keep-alive off)
// over gathered Noise channels, and what closes all of it.
func streamPair() (opened, accepted *yamux.Stream, stop func(), err error) {
	a, b, err := channelPair()
	if err != nil {
		return nil, nil, nil, err
	}
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.StreamOpenTimeout = 0
	config.LogOutput = io.Discard
	client, err := yamux.Client(gather(a), config)
	if err != nil {
		return nil, nil, nil, err
	}
	server, err := yamux.Server(gather(b), config)
	if err != nil {
		return nil, nil, nil, err
	}
	stop = func() {
		client.Close()
		server.Close()
	}
	if opened, err = client.OpenStream(); err == nil {
		accepted, err = server.AcceptStream()
	}
	if err != nil {
		stop()
		return nil, nil, nil, err
	}
	return opened, accepted, stop, nil
}

// pathBuffer is the stream buffer of the path cases, on both sides.
const pathBuffer = 32 << 10

// NoHops is path/oneway-no-hops-N: a goroutine writes messages into a buffer
// that is written out when full, a goroutine reads and counts them.
func NoHops(n int) harness.Case {
	return harness.Case{Name: "path/oneway-no-hops-" + size(n), Run: func(m *harness.Meter) error {
		out, in, stop, err := streamPair()
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() {
			w, msg := bufio.NewWriterSize(out, pathBuffer), body(n)
			for writeMessage(w, msg) == nil {
			}
		})
		var received atomic.Uint64
		wg.Go(func() { countMessages(in, n, &received) })
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}

// countMessages reads messages of n bytes until the stream ends.
func countMessages(in io.Reader, n int, received *atomic.Uint64) {
	r, buf := bufio.NewReaderSize(in, pathBuffer), make([]byte, n)
	for {
		if _, err := readMessage(r, buf); err != nil {
			return
		}
		received.Add(1)
	}
}

// QueueDrainChans is path/oneway-queue-drain-chans-N: sender → channel →
// writer that flushes when the channel is empty; reader → channel → handler.
func QueueDrainChans(n int) harness.Case {
	return harness.Case{Name: "path/oneway-queue-drain-chans-" + size(n), Run: func(m *harness.Meter) error {
		out, in, stop, err := streamPair()
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		var over atomic.Bool
		defer over.Store(true)
		defer stop()

		queue := make(chan []byte, 1024)
		wg.Go(func() {
			defer close(queue)
			for msg := body(n); !over.Load(); {
				queue <- msg
			}
		})
		wg.Go(func() {
			w := bufio.NewWriterSize(out, pathBuffer)
			for msg := range queue {
				if writeMessage(w, msg) != nil {
					continue // the stream has ended: drain until the sender hears of it
				}
				if len(queue) == 0 {
					_ = w.Flush()
				}
			}
		})
		arrived := make(chan []byte, 1024)
		wg.Go(func() {
			defer close(arrived)
			r := bufio.NewReaderSize(in, pathBuffer)
			for {
				msg, err := readMessage(r, make([]byte, n))
				if err != nil {
					return
				}
				arrived <- msg
			}
		})
		var received atomic.Uint64
		wg.Go(func() {
			for range arrived {
				received.Add(1)
			}
		})
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}

// outstanding is how many messages the sender and the reader of QueueDrain
// may have in their actor's mailbox.
const outstanding = 4096

// QueueDrain is path/oneway-queue-drain-N: as QueueDrainChans, with protoactor
// actors and their stock mailbox instead of the two channels.
func QueueDrain(n int) harness.Case {
	return harness.Case{Name: "path/oneway-queue-drain-" + size(n), Run: func(m *harness.Meter) error {
		out, in, stop, err := streamPair()
		if err != nil {
			return err
		}
		system := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
		toWriter, toHandler := newGate(outstanding), newGate(outstanding)
		w := bufio.NewWriterSize(out, pathBuffer)
		writer := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			msg, ok := c.Message().(*message)
			if !ok {
				return
			}
			err := writeMessage(w, msg.body)
			if last := toWriter.leave(); last && err == nil {
				_ = w.Flush() // its error shows at the next write, and at the reader
			}
		}))
		var received atomic.Uint64
		handler := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*message); ok {
				received.Add(1)
				toHandler.leave()
			}
		}))
		var wg sync.WaitGroup
		defer func() {
			stop()
			toWriter.close()
			toHandler.close()
			wg.Wait()
			_ = system.Root.StopFuture(writer).Wait()
			_ = system.Root.StopFuture(handler).Wait()
			system.Shutdown()
		}()
		wg.Go(func() {
			b := body(n)
			for toWriter.enter() {
				system.Root.Send(writer, &message{b})
			}
		})
		wg.Go(func() {
			r := bufio.NewReaderSize(in, pathBuffer)
			for {
				b, err := readMessage(r, make([]byte, n))
				if err != nil || !toHandler.enter() {
					return
				}
				system.Root.Send(handler, &message{b})
			}
		})
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}

type message struct{ body []byte }

// gate lets one goroutine in while fewer than limit are inside.
type gate struct {
	limit  int64
	inside atomic.Int64
	wake   chan struct{}
	closed chan struct{}
}

func newGate(limit int64) *gate {
	return &gate{limit: limit, wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// enter waits for room. It is false once the gate is closed.
func (g *gate) enter() bool {
	for g.inside.Load() >= g.limit {
		select {
		case <-g.wake:
		case <-g.closed:
			return false
		}
	}
	g.inside.Add(1)
	select {
	case <-g.closed:
		return false
	default:
		return true
	}
}

// leave says whether nobody is left inside. At half of the limit it wakes who
// waits to enter.
func (g *gate) leave() (last bool) {
	left := g.inside.Add(-1)
	if left == g.limit/2 {
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
	return left == 0
}

func (g *gate) close() { close(g.closed) }
