package trunk

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Discovery is the name under which a part provides the actor that handles
// [DiscoverPeer]; see [Trunk.Provide]. Without such an actor, the node does not search
// for unknown peers.
const Discovery = "discovery"

// DiscoverPeer asks for a search for the peer with this key, until the time Until.
// Reply: PeerDiscovered, when the peer is in the peer store or the search has failed. It
// goes to Reply or, if that is nil, to the sender of the request.
type DiscoverPeer struct {
	Token uint64
	Key   identity.PublicKey
	Until time.Time
	Reply *actor.PID

	system *actor.ActorSystem
}

// NewDiscoverPeer returns a request whose answer goes to reply.
func NewDiscoverPeer(sys *actor.ActorSystem, token uint64, key identity.PublicKey, until time.Time, reply *actor.PID) DiscoverPeer {
	return DiscoverPeer{Token: token, Key: key, Until: until, Reply: reply, system: sys}
}

// Discard replies ErrNotDiscovered if no actor handles the request.
func (m DiscoverPeer) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, PeerDiscovered{Token: m.Token, Key: m.Key, Err: actors.ErrNotDiscovered})
	}
}

// PeerDiscovered replies to DiscoverPeer.
type PeerDiscovered struct {
	Token uint64
	Key   identity.PublicKey
	Err   error // nil: the peer is in the peer store
}
