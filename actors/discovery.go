package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Discovery is the name of the actor that hears [DiscoverPeer]; see
// [Trunk.Provide]. While there is none, nobody looks for peers that are not known.
const Discovery = "discovery"

// DiscoverPeer asks for the peer with a key to be found. Reply: PeerDiscovered,
// when it is in the peer store, or cannot be found until then.
type DiscoverPeer struct {
	Token uint64
	Key   identity.PublicKey
	Until time.Time
	Reply *actor.PID

	system *actor.ActorSystem
}

// NewDiscoverPeer makes the request; reply is who hears the answer.
func NewDiscoverPeer(sys *actor.ActorSystem, token uint64, key identity.PublicKey, until time.Time, reply *actor.PID) DiscoverPeer {
	return DiscoverPeer{Token: token, Key: key, Until: until, Reply: reply, system: sys}
}

// Discard answers in the place of an actor that is gone.
func (m DiscoverPeer) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, PeerDiscovered{Token: m.Token, Key: m.Key, Err: ErrNotDiscovered})
	}
}

// PeerDiscovered replies to DiscoverPeer.
type PeerDiscovered struct {
	Token uint64
	Key   identity.PublicKey
	Err   error // nil: the peer is in the peer store
}
