package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// SendMessage is the message form of a send over the DHT, for actors: request it
// from the outbound actor. It never waits: without credit it fails as overloaded.
// Reply: dht.Sent, when every copy has its outcome.
type SendMessage struct {
	ID      uint64 // yours; dht.Sent repeats it
	Message dht.Message
}

// DiscoverPeer asks whoever looks for unknown peers for the holder of a key.
// Reply: PeerDiscovered, when it is in the peer store, or cannot be found until
// then.
type DiscoverPeer struct {
	Token uint64
	Key   identity.PublicKey
	Until time.Time
	Reply *actor.PID

	system *actor.ActorSystem
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

// forwardMessage has outbound pass on a message of a peer for somebody else, as
// it came. Its credit goes back when every copy of it has ended.
type forwardMessage struct {
	Envelope dht.Envelope
	Hash     dht.Hash
	To       dht.Strategy
	Again    bool // to those alone that an earlier copy did not reach
	Origin   Origin

	unreached *dht.Unreached
	lease     passedLease
}

// Discard gives the credit of a message back that nobody passed on, so that a
// later copy of it is passed on anew. On a message whose copies are under way it
// has no effect: they have its credit.
func (m forwardMessage) Discard() {
	if m.lease.l.unpass() {
		m.unreached.Anew(m.Hash)
	}
}

// Source makes a panic on it count against the peer it came from.
func (m forwardMessage) Source() any { return m.Origin }

// sendQuietly has outbound send a message of the node's own accord that is in no
// ledger and takes no credit of the application's; whoever sends it bounds how
// many. No reply.
type sendQuietly struct{ message dht.Message }

// notTaken has the inbound actor of a peer count a message that its handler had
// no use for as one that no handler took. It holds the message's credit.
type notTaken struct {
	origin  Origin
	release func()
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m notTaken) Finish() { m.release() }

// Discard gives the credit back of a message that nobody counted.
func (m notTaken) Discard() { m.release() }

// Source makes a panic on it count against the peer.
func (m notTaken) Source() any { return m.origin }
