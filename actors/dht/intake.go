package dht

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// receiver receives the frames of peers.
type receiver struct{ dht *DHT }

// Open returns what makes a [Frame] of each body and hands it to the actor of its
// peer, as fast as the limit of messages allows.
func (r receiver) Open(on *actors.ConnRef) actors.Intake {
	return &intake{dht: r.dht, shard: r.dht.shard(on.Peer), on: on}
}

type intake struct {
	dht   *DHT
	shard *shard
	on    *actors.ConnRef
	group *group // of the last frame
}

// Message makes a [Frame], together with those before it that still wait.
func (i *intake) Message(body []byte, p *credit.Permit) any {
	f := Frame{Peer: i.on.Peer, Key: i.on.Key, Conn: i.on.ID, Body: body, permit: p, origin: i.on.Origin()}
	f.group, f.place = i.join(body)
	return f
}

func (i *intake) join(body []byte) (g *group, place int) {
	if i.group != nil {
		if place, ok := i.group.join(body); ok {
			return i.group, place
		}
	}
	i.group = &group{meter: i.meter()}
	place, _ = i.group.join(body)
	return i.group, place
}

func (i *intake) meter() *dht.FloodMeter {
	if i.shard == nil {
		return nil
	}
	return i.shard.flood
}

// Drop counts frames that nobody judges.
func (i *intake) Drop(n int) { i.shard.flood.Unread(n) }

// floodLook is how often a reader looks whether its peer is still at the limit.
const floodLook = time.Second

var errFlooded = errors.New("dht: the connection of a peer above the limit of messages has ended")

// Hear returns how many of the frames that were read may be judged. While the
// peer is at the limit it waits: for judgement, for the end of a second, for its
// being allowed. The rest of a peer above the limit is dropped when its connection
// has ended, as it does when the peer is banned (spec: V 28).
func (i *intake) Hear(ctx context.Context, all []any) (*actor.PID, int, error) {
	n := i.ask(all, nil)
	meter := i.shard.flood
	if n == 0 {
		defer meter.HoldBack()()
	}
	over := false // it was, though it may have been forgiven since
	for n == 0 {
		over = over || meter.Over(i.dht.trunk.Now(), i.on.Peer)
		if over && i.on.Ended() {
			return nil, 0, errFlooded
		}
		look, wake := context.WithCancel(ctx)
		if n = i.ask(all, wake); n == 0 {
			supervisor.Sleep(look, floodLook)
		}
		wake()
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
	}
	return i.shard.pid, n, nil
}

// ask returns how many frames may be judged now. If it is none, wake is called
// when there may be some.
func (i *intake) ask(all []any, wake func()) int {
	t, peer := i.dht.trunk, i.on.Peer
	n := i.shard.flood.HandOn(t.Now(), peer, len(all), t.Unlimited(peer), wake)
	for _, f := range all[:n] {
		f := f.(Frame)
		f.group.handOn(f.place)
	}
	return n
}
