package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/actors/inbox"
	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Outcome is how one send to one peer ended.
type Outcome = protocol.Outcome

// Node is a running node. Its methods may be called from any goroutine. Those with
// a context may wait, so an actor calls them in a task ([supervisor.Do]) and never
// inside Receive; the others never wait.
type Node struct {
	trunk  actors.Node
	up     chan struct{} // closed when root is set, while the actors start
	root   *supervisor.Root
	db     kv.DB
	listen []*actors.Bound
	events *events
	start  time.Time
	inbox  *inbox.Inbox // nil without
	calls  *rpcpart.Calls
	dht    *dhtpart.DHT // nil without
	parts  []actors.Part

	inspector *inspect.Server // nil without; set before Start waits for the actors

	closeOnce sync.Once
	closing   chan struct{} // closed when Close was called
	closed    chan struct{} // closed when everything is released
	err       error         // set before
}

// ErrClosed reports the use of a node that is closing or closed.
var ErrClosed = errors.New("gamelan: the node is closed")

// closeTimeout bounds a Close without a deadline, and a stop by failure.
const closeTimeout = 10 * time.Second

// wait releases what Start opened once the tree has ended.
func (n *Node) wait() {
	<-n.root.Done()
	n.err = n.root.Err()
	if err := n.closeInspector(); err != nil {
		n.err = errors.Join(n.err, err)
	}
	if n.inbox != nil {
		if err := n.inbox.Close(); err != nil {
			n.err = errors.Join(n.err, fmt.Errorf("gamelan: close the inbox: %w", err))
		}
	}
	if err := n.db.Close(); err != nil {
		n.err = errors.Join(n.err, fmt.Errorf("gamelan: close peer store: %w", err))
	}
	n.events.close()
	close(n.closed)
}

// Close stops the node: it accepts nothing new, finishes what it has accepted,
// says goodbye on every connection and syncs its store, until ctx ends (at the
// latest 10 s if it has no deadline), and a second longer for a store whose disk
// does not answer. The error names what did not stop in time; for the store it
// is an [actors.ErrStoreFailed], and Done stays open. Close is idempotent.
func (n *Node) Close(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	<-n.up // a user's actor may have the node before Start returns
	n.closeOnce.Do(func() { close(n.closing) })
	err := n.root.Stop(ctx, nil)
	select {
	case <-n.root.Done():
		return n.released(ctx)
	default:
		return err // an earlier Close has more time
	}
}

// storeGrace is how long Close waits for the store after its context is over:
// the tree may have taken all of the time, and a good disk needs little.
const storeGrace = time.Second

// released waits until everything is released. A disk may never answer, and
// whoever closes the node has to get on.
func (n *Node) released(ctx context.Context) error {
	select {
	case <-n.closed:
		return n.err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeGrace)
	defer cancel()
	select {
	case <-n.closed:
		return n.err
	case <-grace.Done():
	}
	return errors.Join(n.root.Err(), fmt.Errorf("gamelan: close: %w: its disk has not answered in time; see whether the disk works: %w", actors.ErrStoreFailed, ctx.Err()))
}

// Done is closed when the node has stopped, asked to or not.
func (n *Node) Done() <-chan struct{} { return n.closed }

// Err is nil while the node runs and after a Close in order; otherwise it says
// why the node stopped or what did not stop in time.
func (n *Node) Err() error {
	select {
	case <-n.closed:
		return n.err
	default:
		return nil
	}
}

// ID is the node's id.
func (n *Node) ID() identity.NodeID { return n.trunk.Self() }

// PublicKey is the node's public key, of which the id is a hash.
func (n *Node) PublicKey() identity.PublicKey { return n.trunk.Key() }

// Profile is the wire profile that the node speaks.
func (n *Node) Profile() protocol.Profile { return n.trunk.Profile() }

// Listening returns the addresses that the node listens on.
func (n *Node) Listening() []ma.Multiaddr {
	addrs := make([]ma.Multiaddr, len(n.listen))
	for i, b := range n.listen {
		addrs[i] = b.Addr
	}
	return addrs
}

// Addresses returns the addresses that the node tells its peers.
func (n *Node) Addresses() []ma.Multiaddr {
	m, _ := n.trunk.Local()
	addrs := make([]ma.Multiaddr, 0, len(m.Claim.Addresses))
	for _, raw := range m.Claim.Addresses {
		if a, err := ma.NewMultiaddrBytes(raw); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// SetPublicAddresses changes the addresses that peers are told to dial; the
// next connection carries a fresh signature over them.
func (n *Node) SetPublicAddresses(ctx context.Context, addrs ...ma.Multiaddr) error {
	if err := n.policy().Check(addrs); err != nil {
		return err
	}
	r, err := ask[actors.AddressesSet](ctx, n, n.trunk.Services(), actors.SetAddresses{Addresses: addrs})
	return cmp.Or(err, r.Err)
}

// Seed is the node as others write it into their seeds: KEY::ADDRESS[::ADDRESS…].
func (n *Node) Seed() string {
	p := peerstore.Peer{Key: n.trunk.Key()}
	for _, a := range n.Addresses() {
		p.Addresses = append(p.Addresses, peerstore.Address{Addr: a})
	}
	return p.Seed()
}

// System is the actor system that the node runs in, for messages to actors of
// yours: node.System().Root.Send, or [supervisor.Ask].
func (n *Node) System() *actor.ActorSystem { return n.trunk.System() }

// stopping reports whether the node is closed or on its way.
func (n *Node) stopping() bool {
	select {
	case <-n.closing: // before anything else: a select chooses at random
		return true
	default:
	}
	select {
	case <-n.up:
	default:
		return false
	}
	select {
	case <-n.root.Done():
		return true
	default:
		return false
	}
}
