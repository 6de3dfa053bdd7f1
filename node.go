package gamelan

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/feed"
	"github.com/gamelan-p2p/gamelan/internal/receive"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Outcome is how one send to one peer ended.
type Outcome = protocol.Outcome

// Node is a running node. Its methods may be called from any goroutine. Methods with a
// context may wait, so an actor calls them in a task ([supervisor.Do]) and never inside
// Receive. The other methods never wait.
type Node struct {
	e      *assemble.Node
	events *feed.Feed[Event]
	loops  receive.Loops
	called []*receive.Caller // of WithMessages, without an inbox
	stops  stops
	waits  sendWaits
}

// ErrClosed reports the use of a node that is closing or closed.
var ErrClosed = assemble.ErrClosed

// Close stops the node in order: the functions of [WithStop] return, the node accepts nothing new, finishes accepted work,
// closes every connection in order and syncs its store. It takes until ctx ends at most,
// or 10 s if ctx has no deadline, and one second more if the store's disk does not answer.
// The error names the parts that did not stop in time. If that is the store, the error is
// an [ErrStoreFailed] and Done stays open. Close is idempotent.
//
// What peers send after Close began is not confirmed to them. All that was confirmed before is
// read. An inbox keeps it, even above its limits. Without an inbox it is handled as far as the
// time allows. The rest is dropped, at most Config.PeerCredit, or one larger message, and
// 1 MiB and 64 KiB of each peer and protocol; the log counts its messages and bytes by peer.
// A loop over [Node.Messages] that goes on gets what waits for it, also after Close; the log does not count that.
func (n *Node) Close(ctx context.Context) error {
	ctx, cancel := assemble.Within(ctx)
	defer cancel()
	<-n.e.Up // a user's actor may call Close before Start returns
	return errors.Join(n.stops.run(ctx, n), n.e.Close(ctx))
}

// Drain has the node make no new connections from now on: it accepts none and dials nobody. What it is connected with stays, and it works on
// over these connections: messages, calls and streams go on. A dial of a peer that is not connected, and a message to it, fail with [ErrDraining].
// Health says that the node drains. Undrain ends that; Close does not need it.
func (n *Node) Drain() { n.e.Trunk.Drain(true) }

// Undrain ends what Drain has begun: the node connects to others again.
func (n *Node) Undrain() { n.e.Trunk.Drain(false) }

// Draining returns since when the node makes no new connections, on the system's clock. It is false if the node makes them.
func (n *Node) Draining() (since time.Time, ok bool) {
	since, ok = n.e.Trunk.Draining()
	return n.e.Trunk.OnWall(since), ok
}

// Done returns a channel that is closed when the node has stopped, by Close or by a
// failure.
func (n *Node) Done() <-chan struct{} { return n.e.Closed }

// Err returns nil while the node runs and after a Close in order. Otherwise the error says
// why the node stopped, or which parts did not stop in time.
func (n *Node) Err() error { return n.e.Err() }

// ID returns the node's id.
func (n *Node) ID() identity.NodeID { return n.e.Trunk.Self() }

// PublicKey returns the node's public key. The node's id is a hash of it.
func (n *Node) PublicKey() identity.PublicKey { return n.e.Trunk.Key() }

// Profile returns the wire profile that the node uses.
func (n *Node) Profile() protocol.Profile { return n.e.Trunk.Profile() }

// Listening returns the addresses that the node listens on.
func (n *Node) Listening() []ma.Multiaddr { return n.e.Listening() }

// Addresses returns the addresses that the node advertises to its peers. Nobody can reach a node
// that only dials at the one that it has.
func (n *Node) Addresses() []ma.Multiaddr { return n.e.Trunk.Addresses() }

// SetPublicAddresses changes the addresses that the node advertises. The identity message
// of each new connection carries them, with a new signature.
func (n *Node) SetPublicAddresses(ctx context.Context, addrs ...ma.Multiaddr) error {
	policy := n.e.Policy()
	policy.Given = true
	if err := policy.Check(addrs); err != nil {
		return err
	}
	n.e.Given.Store(true)
	r, err := assemble.Ask[users.AddressesSet](ctx, n.e, n.e.Trunk.Services(), users.SetAddresses{Addresses: addrs})
	return cmp.Or(err, r.Err)
}

// Seed returns the node's key and addresses in the form that other nodes use for seeds:
// KEY::ADDRESS[::ADDRESS…].
func (n *Node) Seed() string {
	p := peerstore.Peer{Key: n.e.Trunk.Key()}
	for _, a := range n.Addresses() {
		p.Addresses = append(p.Addresses, peerstore.Address{Addr: a})
	}
	return p.Seed()
}

// System returns the actor system that the node runs in. Use it to send messages to your
// actors: node.System().Root.Send, or [supervisor.Ask].
func (n *Node) System() *actor.ActorSystem { return n.e.Trunk.System() }
