package hostile

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// custom is a protocol of the tests.
const custom = "t/hostile/1"

// keeper is a protocol actor that takes the substreams offered to it, reads
// them to their end and keeps them until its own.
type keeper struct {
	mu    sync.Mutex
	delay time.Duration // in Receive, before the next stream is taken
	taken int           // streams
	late  int           // streams that were gone when it wanted to take them
	read  []kept
}

// kept is one stream that was read.
type kept struct {
	conn uint64
	data string
	err  error // nil is EOF
}

func (k *keeper) New(*gamelan.Node) actor.Actor { return actor.ReceiveFunc(k.receive) }

func (k *keeper) receive(c actor.Context) {
	m, ok := c.Message().(actors.SubstreamOpened)
	if !ok {
		return
	}
	k.mu.Lock()
	delay := k.delay
	k.delay = 0
	k.mu.Unlock()
	time.Sleep(delay)
	stream, ok := m.Stream.Take()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !ok {
		k.late++
		return
	}
	k.taken++
	supervisor.Go(c, fmt.Sprintf("read-%d", k.taken), stream, func(ctx context.Context) error {
		data, err := io.ReadAll(stream)
		k.mu.Lock()
		k.read = append(k.read, kept{m.Conn.ID, string(data), err})
		k.mu.Unlock()
		if err == nil {
			<-ctx.Done() // keep our half
		}
		return err
	})
}

// slow makes the actor stand still before it takes the next stream.
func (k *keeper) slow(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.delay = d
}

func (k *keeper) counts() (taken, late int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.taken, k.late
}

func (k *keeper) streams() []kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]kept(nil), k.read...)
}
