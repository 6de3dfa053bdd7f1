package dhtpart

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// receiver is the [messengers.Receiver] of the DHT's messaging protocol.
type receiver struct{ dht *DHT }

// Open returns an intake for a substream of the connection. The intake makes a [Frame]
// of each message and hands it to the peer's inbound actor, as fast as the flood limit
// allows.
func (r receiver) Open(on *actors.ConnRef) messengers.Intake {
	return &intake{dht: r.dht, shard: r.dht.shard(on.Peer), on: on}
}

type intake struct {
	dht   *DHT
	shard *shard
	on    *actors.ConnRef
	group *group // the last frame's group
}

// Message returns a [Frame]. The frame joins the group of the frames before it if they
// still wait.
func (i *intake) Message(body []byte, p *credit.Permit) any {
	f := Frame{Peer: i.on.Peer, Key: i.on.Key, Conn: i.on.ID, Body: body, permit: p, origin: i.on.Origin()}
	if f.over = i.dht.overControls(f); f.over != nil {
		f.group = &group{meter: i.shard.flood}
		f.place, _ = f.group.join(nil)
		return f
	}
	f.group, f.place = i.join(body)
	return f
}

// overControls returns an error for an announcement or a search that is one too many of its
// source.
func (d *DHT) overControls(f Frame) error {
	if d.trunk.Unlimited(f.Peer) {
		return nil
	}
	return d.announced.Take(d.trunk.Now(), sourceOf(f.origin, f.Peer), f.origin == peerstore.ExemptOrigin, f.Body)
}

func (i *intake) join(body []byte) (g *group, place int) {
	if i.group != nil {
		if place, ok := i.group.join(body); ok {
			return i.group, place
		}
	}
	i.group = &group{meter: i.shard.flood}
	place, _ = i.group.join(body)
	return i.group, place
}

// Drop counts frames that are dropped without being judged.
func (i *intake) Drop(n int) { i.shard.flood.Unread(n) }

// floodLook is how often a reader checks whether its peer is still at the limit.
const floodLook = time.Second

var errFlooded = errors.New("dht: the connection of a peer above the limit of messages has ended")

// Hear returns how many of the frames may be handed to the inbound actor, and that
// actor. While the peer is at its flood limit, Hear waits until frames have been judged,
// a second has passed, or the peer is exempt. When the connection of a peer above the
// limit has ended, for example because the peer was banned, Hear returns errFlooded and
// the remaining frames are dropped (spec: V 28).
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

// ask returns how many frames may be handed on now, and counts them as handed on. If it
// returns 0, wake is called when more may be allowed.
func (i *intake) ask(all []any, wake func()) int {
	t, peer := i.dht.trunk, i.on.Peer
	n := i.shard.flood.HandOn(t.Now(), peer, len(all), t.Unlimited(peer), wake)
	for _, f := range all[:n] {
		f := f.(Frame)
		f.group.handOn(f.place)
	}
	return n
}
