package rpcpart

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// clockTrunk has the time and nothing else.
type clockTrunk struct {
	Trunk
	now time.Time
}

func (c clockTrunk) Now() time.Time { return c.now }

// TestCancelledBeforeItBegins: a call whose ctx ends just before it is sent has no id, so that its session hears nothing of it.
func TestCancelledBeforeItBegins(t *testing.T) {
	m := &manyCalls{s: &Session{shared: &Calls{trunk: clockTrunk{}}, conn: new(actors.ConnRef)}, machine: manycalls.NewClient(rpc.MaxFrame)}
	m.gather = gather{mu: &m.mu, news: turns.News{L: &m.mu}}
	k := &manyCall{wake: turns.NewBell()}
	k.more = k.wake
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.interrupt(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, _, err := m.begin(ctx, k); !errors.Is(err, context.Canceled) || m.machine.Last() != 0 || k.c != nil {
		t.Errorf("got %v and call %d, want no call", err, m.machine.Last())
	}
}
