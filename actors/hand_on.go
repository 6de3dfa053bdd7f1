package actors

import (
	"context"
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// floodLook is how often a reader looks whether its peer is still at the limit.
const floodLook = time.Second

var errFlooded = errors.New("actors: the connection of a peer above the limit of messages has ended")

// flood is the meter of a peer's messages.
func (e *Env) flood(peer identity.NodeID) *dht.FloodMeter { return e.floods[e.shard(peer)] }

// unlimited reports whether what the peer sends is no flood: it is on the allow
// list, or somebody here wants it connected (spec: V 28).
func (e *Env) unlimited(peer identity.NodeID) bool { return e.allowed(peer) || e.held(peer) }

// handOn returns how many of the frames that were read may be judged. While the
// peer is at the limit it waits: for judgement, for the end of a second, for its
// being allowed. The rest of a peer above the limit is dropped when its connection
// has ended, as it does when the peer is banned (spec: V 28).
func (r *reader) handOn(ctx context.Context) (int, error) {
	n := r.ask(nil)
	meter := r.box.env.flood(r.box.peer)
	if n == 0 {
		defer meter.HoldBack()()
	}
	for n == 0 {
		if r.in.conn.ended() && meter.Over(r.box.env.Now(), r.box.peer) {
			return 0, errFlooded
		}
		look, wake := context.WithCancel(ctx)
		if n = r.ask(wake); n == 0 {
			supervisor.Sleep(look, floodLook)
		}
		wake()
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// ask returns how many frames may be judged now. If it is none, wake is called
// when there may be some.
func (r *reader) ask(wake func()) int {
	env, peer := r.box.env, r.box.peer
	meter := env.flood(peer)
	n := meter.HandOn(env.Now(), peer, len(r.whole), env.unlimited(peer), wake)
	for _, f := range r.whole[:n] {
		f.(Frame).lease.flood = meter
	}
	return n
}
