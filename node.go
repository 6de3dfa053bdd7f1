package gamelan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/actors/discovery"
	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/actors/kad"
	reachpart "github.com/gamelan-p2p/gamelan/actors/reach"
	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	safpart "github.com/gamelan-p2p/gamelan/actors/saf"
	torpart "github.com/gamelan-p2p/gamelan/actors/tor"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/feed"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/internal/receive"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Outcome is how one send to one peer ended.
type Outcome = protocol.Outcome

// Node is a running node. Its methods may be called from any goroutine. Methods with a
// context may wait, so an actor calls them in a task ([supervisor.Do]) and never inside
// Receive. The other methods never wait.
type Node struct {
	trunk  actors.Node
	up     chan struct{} // closed when root is set, while the actors start
	root   *supervisor.Root
	db     kv.DB
	listen []*actors.Bound
	events *feed.Feed[Event]
	now    func() time.Time
	public bool         // the settings have public addresses
	given  atomic.Bool  // SetPublicAddresses was called
	inbox  *inbox.Inbox // nil without an inbox
	loops  receive.Loops
	called *receive.Caller // of WithMessages; nil without it, and with an inbox
	calls  *rpcpart.Calls
	dht    *dhtpart.DHT // nil without the DHT
	parts  []actors.Part
	view   *nodeview.View

	discovery *discovery.Discovery // nil without the DHT
	saf       *safpart.Saf         // nil without the DHT
	kad       *kad.Kad
	reach     *reachpart.Reach // nil for a node that does not follow the machine's addresses
	tor       *torpart.Tor     // nil without TransportTor

	inspector *inspect.Server // nil without WithInspector; set before Start waits for the actors

	closeOnce sync.Once
	closing   chan struct{} // closed when Close was called
	closed    chan struct{} // closed when everything is released
	err       error         // set before closed is closed

	stops    stops
	waits    sendWaits
	closings closings // closed after closed
}

// ErrClosed reports the use of a node that is closing or closed.
var ErrClosed = errors.New("gamelan: the node is closed")

// closeTimeout bounds a Close without a deadline, and the stop of a node that failed.
const closeTimeout = 10 * time.Second

// wait waits until the tree of actors has ended and then releases what Start opened.
func (n *Node) wait(log *slog.Logger) {
	<-n.root.Done()
	n.loops.Finish()
	n.sayDropped(log)
	n.err = n.root.Err()
	if err := n.closeInspector(); err != nil {
		n.err = errors.Join(n.err, err)
	}
	if n.inbox != nil {
		if err := n.inbox.Close(); err != nil {
			sayLosses(n.inbox.Unwritten().Losses(), func(attributes ...any) {
				log.Warn("messages of a peer could not be written to the inbox", attributes...)
			})
			n.err = errors.Join(n.err, fmt.Errorf("gamelan: close the inbox: %w", err))
		}
	}
	if n.dht != nil { // the inbox has just finished its last messages
		if err := n.dht.Close(); err != nil {
			n.err = errors.Join(n.err, fmt.Errorf("gamelan: close the DHT: %w", err))
		}
	}
	if err := n.db.Close(); err != nil {
		n.err = errors.Join(n.err, fmt.Errorf("gamelan: close peer store: %w", err))
	}
	n.events.Close()
	close(n.closed)
	n.closings.close()
}

// saidPeers bounds the peers with a log record of their own in sayLosses.
const saidPeers = 32

// sayLosses calls say for the losses of the peers with the most bytes, with the attributes of a
// log record, and returns those of all peers.
func sayLosses(of map[identity.NodeID]actors.Loss, say func(attributes ...any)) (all actors.Loss) {
	for _, l := range of {
		all.Messages, all.Bytes = all.Messages+l.Messages, all.Bytes+l.Bytes
	}
	peers := slices.SortedFunc(maps.Keys(of), func(a, b identity.NodeID) int {
		return cmp.Or(cmp.Compare(of[b].Bytes, of[a].Bytes), bytes.Compare(a[:], b[:]))
	})
	for _, peer := range peers[:min(len(peers), saidPeers)] {
		say("peer", peer, "messages", of[peer].Messages, "bytes", of[peer].Bytes)
	}
	return all
}

// sayDropped logs which messages nobody has handled when all actors have ended.
func (n *Node) sayDropped(log *slog.Logger) {
	dropped := n.trunk.Plain().Dropped()
	if n.called != nil {
		if dropped == nil {
			dropped = make(map[identity.NodeID]actors.Loss)
		}
		n.called.Waiting(dropped)
	}
	if len(dropped) > 0 {
		all := sayLosses(dropped, func(attributes ...any) { log.Warn("messages of a connected peer were not handled", attributes...) })
		log.Warn("messages of connected peers came that nobody has handled, and their senders may have seen them confirmed; an inbox (WithInbox) keeps such messages",
			"messages", all.Messages, "bytes", all.Bytes, "peers", len(dropped))
	}
	if n.dht == nil {
		return
	}
	if dropped = n.trunk.Frames().Dropped(); len(dropped) > 0 {
		all := sayLosses(dropped, func(attributes ...any) {
			log.Warn("messages over the DHT that a peer brought were not handled", attributes...)
		})
		log.Warn("messages over the DHT came that nobody has handled, and the peers that brought them may have seen them confirmed",
			"messages", all.Messages, "bytes", all.Bytes, "peers", len(dropped))
	}
}

// Close stops the node in order: the functions of [WithStop] return, the node accepts nothing new, finishes accepted work,
// closes every connection in order and syncs its store. It takes until ctx ends at most,
// or 10 s if ctx has no deadline, and one second more if the store's disk does not answer.
// The error names the parts that did not stop in time. If that is the store, the error is
// an [ErrStoreFailed] and Done stays open. Close is idempotent.
//
// What peers send after Close began is not confirmed to them. All that was confirmed before is
// read. An inbox keeps it, even above its limits. Without an inbox it is handled as far as the
// time allows. The rest is dropped, at most Config.PeerCredit, or one larger message, and
// 1 MiB and 64 KiB of each peer; the log counts its messages and bytes by peer.
func (n *Node) Close(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	<-n.up // a user's actor may call Close before Start returns
	failed := n.stops.run(ctx, n)
	n.closeOnce.Do(func() {
		close(n.closing)
		n.trunk.ConfirmNothing()
	})
	err := n.root.Stop(ctx, nil)
	select {
	case <-n.root.Done():
		err = n.released(ctx)
	default: // an earlier Close with a later deadline still waits
	}
	return errors.Join(failed, err)
}

// storeGrace is how long Close waits for the store after its context has ended: the actors
// may have used up the time, and a working disk needs little.
const storeGrace = time.Second

// released waits until everything is released, or ctx and storeGrace have ended: a broken
// disk may never answer.
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
	if left := n.inbox.Unwritten(); left != nil {
		return errors.Join(n.root.Err(), fmt.Errorf("gamelan: close: %w: its disk has not answered in time; see whether the disk works: %w: %w", actors.ErrStoreFailed, ctx.Err(), left))
	}
	return errors.Join(n.root.Err(), fmt.Errorf("gamelan: close: %w: its disk has not answered in time; see whether the disk works: %w", actors.ErrStoreFailed, ctx.Err()))
}

// Done returns a channel that is closed when the node has stopped, by Close or by a
// failure.
func (n *Node) Done() <-chan struct{} { return n.closed }

// Err returns nil while the node runs and after a Close in order. Otherwise the error says
// why the node stopped, or which parts did not stop in time.
func (n *Node) Err() error {
	select {
	case <-n.closed:
		return n.err
	default:
		return nil
	}
}

// ID returns the node's id.
func (n *Node) ID() identity.NodeID { return n.trunk.Self() }

// PublicKey returns the node's public key. The node's id is a hash of it.
func (n *Node) PublicKey() identity.PublicKey { return n.trunk.Key() }

// Profile returns the wire profile that the node uses.
func (n *Node) Profile() protocol.Profile { return n.trunk.Profile() }

// Listening returns the addresses that the node listens on.
func (n *Node) Listening() []ma.Multiaddr {
	addrs := make([]ma.Multiaddr, len(n.listen))
	for i, b := range n.listen {
		addrs[i] = b.Where()
	}
	return addrs
}

// onlyDials reports whether nobody is expected to reach the node: it does not listen, and the user
// has set no addresses. What it advertises then is there because a claim has an address.
func (n *Node) onlyDials() bool { return len(n.listen) == 0 && !n.givenAddresses() }

// givenAddresses reports whether the user has set the addresses that the node advertises.
func (n *Node) givenAddresses() bool { return n.public || n.given.Load() }

// Addresses returns the addresses that the node advertises to its peers. Nobody can reach a node
// that only dials at the one that it has.
func (n *Node) Addresses() []ma.Multiaddr { return n.trunk.Addresses() }

// SetPublicAddresses changes the addresses that the node advertises. The identity message
// of each new connection carries them, with a new signature.
func (n *Node) SetPublicAddresses(ctx context.Context, addrs ...ma.Multiaddr) error {
	policy := n.policy()
	policy.Given = true
	if err := policy.Check(addrs); err != nil {
		return err
	}
	n.given.Store(true)
	r, err := ask[actors.AddressesSet](ctx, n, n.trunk.Services(), actors.SetAddresses{Addresses: addrs})
	return cmp.Or(err, r.Err)
}

// Seed returns the node's key and addresses in the form that other nodes use for seeds:
// KEY::ADDRESS[::ADDRESS…].
func (n *Node) Seed() string {
	p := peerstore.Peer{Key: n.trunk.Key()}
	for _, a := range n.Addresses() {
		p.Addresses = append(p.Addresses, peerstore.Address{Addr: a})
	}
	return p.Seed()
}

// System returns the actor system that the node runs in. Use it to send messages to your
// actors: node.System().Root.Send, or [supervisor.Ask].
func (n *Node) System() *actor.ActorSystem { return n.trunk.System() }

// ended reports whether the node has ended.
func (n *Node) ended() bool {
	select {
	case <-n.closed:
		return true
	default:
		return false
	}
}

// stopping reports whether the node is closing or closed.
func (n *Node) stopping() bool {
	select {
	case <-n.closing: // checked first, because one select would choose at random
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
