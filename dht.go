package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// ErrNoDHT reports the use of the DHT on a node without one.
var ErrNoDHT = actors.ErrNoDHT

// DHT is a node's handle for the DHT, which relays messages over several nodes.
// [Node.DHT] returns it.
type DHT struct{ n *Node }

// DHT returns the node's handle for the DHT. On a node without the DHT its methods return
// [ErrNoDHT], or nothing.
func (n *Node) DHT() *DHT { return &DHT{n} }

// Enabled reports whether the node takes part in the DHT.
func (d *DHT) Enabled() bool { return d.n.e.DHT != nil }

// wrap says what failed, but for ErrNoDHT, which says it itself.
func wrap(what string, err error) error {
	if err == nil || errors.Is(err, ErrNoDHT) {
		return err
	}
	return fmt.Errorf("gamelan: %s: %w", what, err)
}

// RegisterType registers your actor for the DHT messages of one type. The actor is
// type-<t> in the tree and receives [dht.Received]. Each type has its own actor, so a slow
// actor delays no other.
//
// An actor that has finished no message for 10 s is stuck. While it is stuck, messages of a
// peer for it are dropped once they would hold more than half of the peer's credit.
// Messages of a type without an actor are dropped, and a peer that sends too many of them
// is banned. Types below 1,000 belong to the network (spec: dht 12.3).
func (d *DHT) RegisterType(ctx context.Context, t int32, new NewActor, opts ...ActorOption) error {
	return d.n.register(ctx, users.Register{Type: &t}, new, opts)
}

// UnregisterType stops the actor of a message type.
func (d *DHT) UnregisterType(ctx context.Context, t int32) error {
	return d.n.unregister(ctx, users.Unregister{Type: &t})
}

// Send sends a message over the DHT and waits for its end. The report has an outcome for
// each peer to which a copy was sent. Send first waits for credit if too many bytes are
// under way. An error means that the message was not accepted; an accepted message has
// only a report. If ctx's deadline comes before the message's limit, it becomes the limit.
// When ctx is cancelled, Send returns the report so far, and the message goes on within
// its limit.
//
// Confirmed means that a peer's multiplexer has read the message. It does not mean that an
// application has read it, nor that a node has relayed it.
func (d *DHT) Send(ctx context.Context, m dht.Message) (dht.Report, error) {
	end, bounded := ctx.Deadline()
	if !bounded {
		p, err := d.submit(ctx, m, nil)
		if err != nil {
			return dht.Report{}, err
		}
		return p.Wait(ctx), nil
	}
	limit := func() time.Duration { return max(time.Millisecond, min(m.For(), time.Until(end))) }
	p, err := d.submit(ctx, m, limit)
	if err != nil {
		return dht.Report{}, err
	}
	r := p.Wait(ctx)
	if r.Ended() {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
	defer cancel()
	return p.Wait(ctx), nil // the message reaches its limit now and ends, with an outcome for each peer
}

// endGrace is how much longer than ctx Send waits for the end of a message whose limit is
// ctx's deadline.
const endGrace = 500 * time.Millisecond

// Submit sends a message over the DHT as Send does, but returns as soon as the message is
// accepted. Use [Pending.WaitFor] to wait for part of the report:
//
//	report := pending.WaitFor(ctx, dht.ConfirmedBy(3))
func (d *DHT) Submit(ctx context.Context, m dht.Message) (*Pending[dht.Report], error) {
	return d.submit(ctx, m, nil)
}

// submit is Submit. If limit is not nil, it is called when the message is accepted and
// returns the message's limit.
func (d *DHT) submit(ctx context.Context, m dht.Message, limit func() time.Duration) (*Pending[dht.Report], error) {
	switch {
	case !d.Enabled():
		return nil, ErrNoDHT
	case d.n.e.Stopping():
		return nil, ErrClosed
	case m.Type == dht.TypePing:
		return nil, fmt.Errorf("gamelan: message not accepted: %w", dhtpart.ErrPingType)
	}
	p := newPending[dht.Report](d.n)
	entry, err := d.n.e.DHT.Send(ctx, m, limit, p.change)
	if err != nil {
		return nil, fmt.Errorf("gamelan: message not accepted: %w", err)
	}
	p.follow(entry)
	return p, nil
}

// SendFrom sends a message over the DHT on behalf of an actor, for use inside Receive. It
// never waits. The actor receives [dht.Sent] with this id when the message has ended: at
// once if there is no credit (overloaded) or the message cannot be sent at all, and never
// if the node has no DHT.
func (d *DHT) SendFrom(c actor.Context, id uint64, m dht.Message) {
	if d.Enabled() {
		root, self := c.ActorSystem().Root, c.Self()
		c.Request(d.n.e.DHT.Outbound, dhtpart.SendMessage{ID: id, Message: m, Lost: func() {
			root.Send(self, dht.Sent{ID: id, Report: dht.Report{Reason: dht.SendClosed, Err: actors.ErrClosing}})
		}})
	}
}

// Sends returns the reports of messages sent over the DHT: those under way, and the last
// [dht.LedgerKept] that ended, oldest first.
func (d *DHT) Sends() []dht.Report {
	if !d.Enabled() {
		return nil
	}
	return d.n.e.DHT.Ledger.All()
}

// ByTag returns those reports of [DHT.Sends] that have the tag.
func (d *DHT) ByTag(tag uint64) []dht.Report {
	if !d.Enabled() {
		return nil
	}
	return d.n.e.DHT.Ledger.ByTag(tag)
}

// Join announces this node to the nodes closest to it, which pass the announcement on to
// others. A node does this of its own accord when it is online; see [DiscoveryConfig]. Join
// returns when each of those nodes has the announcement or was given up.
func (d *DHT) Join(ctx context.Context) (dht.Report, error) {
	r, err := d.n.e.Discovery.Announce(ctx)
	return r, wrap("join", err)
}

// Discover searches for the holder of a key until it is in the peer store, and returns its
// record. It asks connected nodes for the peers that they know, and then the network. It
// ends with ctx, and after Config.Discovery.SearchLimit. A peer that is known already is
// returned at once; found peers are not connected.
func (d *DHT) Discover(ctx context.Context, key identity.PublicKey) (peerstore.Peer, error) {
	limit := time.Duration(1<<63 - 1)
	if at, ok := ctx.Deadline(); ok {
		limit = time.Until(at)
	}
	p, err := d.n.e.Discovery.Find(ctx, key, limit)
	return p, wrap("search for "+key.String(), err)
}

// Sync asks connected nodes and seeds now for the peers that they know, and returns what
// each of them gave. A node does this of its own accord; see [DiscoveryConfig].
func (d *DHT) Sync(ctx context.Context) (Synced, error) {
	r, err := d.n.e.Discovery.Exchange(ctx)
	return r, wrap("ask for peers", err)
}

// Network returns how well the node has found its network: its seeds, its rounds of
// exchanging peers, and the nodes that it wants to be connected to.
func (d *DHT) Network() models.Network {
	return nodeview.Section[models.Network](context.Background(), d.n.e.View, "network")
}

// ErrNobodyToAsk reports that no connected peer stores messages for others. Connect to one,
// or wait until the node is online.
var ErrNobodyToAsk = saf.ErrNobodyToAsk

// FetchStored asks peers for the messages that they store for this node, and has them
// delivered: the named peers, at most 8, or without names the closest connected ones that
// may store messages. It returns when each of them had nothing new in the end, or was given
// up after five minutes; the result says which. If ctx ends first, the fetch goes on, and
// its messages are delivered all the same.
//
// A node asks of its own accord whenever it connects to such a peer; see
// [StoreForwardConfig]. Messages come to the actors of their types, with
// [dht.Received].Stored set. Each comes once. After a crash of this node a message may come
// again.
func (d *DHT) FetchStored(ctx context.Context, peers ...identity.NodeID) (dht.Fetched, error) {
	r, err := d.n.e.Saf.FetchFrom(ctx, peers...)
	return r, wrap("fetch stored messages", err)
}

// PurgeStored deletes the messages that this node stores for another one. It returns how
// many there were, when they are deleted on the disk.
func (d *DHT) PurgeStored(ctx context.Context, to identity.NodeID) (models.StoreForwardPurged, error) {
	return d.purge(ctx, safpart.Purge{To: to})
}

// PurgeAllStored deletes all messages that this node stores for others.
func (d *DHT) PurgeAllStored(ctx context.Context) (models.StoreForwardPurged, error) {
	return d.purge(ctx, safpart.Purge{All: true})
}

func (d *DHT) purge(ctx context.Context, m safpart.Purge) (models.StoreForwardPurged, error) {
	p, err := d.n.e.Saf.Delete(ctx, m)
	return p, wrap("purge stored messages", err)
}

// StoreForward returns what the node stores for others, and what it asked others for.
func (d *DHT) StoreForward(ctx context.Context) models.StoreForward {
	return nodeview.Section[models.StoreForward](ctx, d.n.e.View, "saf")
}

// Ping pings the application of a peer over the DHT's messaging, and returns how long the
// answer took. A peer answers only if its application does, so [ErrNoPong], which
// comes after 40 s, says little about the connection. After [ErrPingLost] try
// again.
func (d *DHT) Ping(ctx context.Context, peer identity.NodeID) (time.Duration, error) {
	if !d.Enabled() {
		return 0, ErrNoDHT
	}
	r, err := assemble.Ask[dhtpart.PeerPinged](ctx, d.n.e, d.n.e.DHT.Pinger, dhtpart.PingPeer{Peer: peer})
	if errors.Is(r.Err, dhtpart.ErrPingLost) && d.n.e.Stopping() {
		err = ErrClosed
	}
	if err = cmp.Or(err, r.Err); err != nil {
		return 0, fmt.Errorf("gamelan: ping %s: %w", peer, err)
	}
	return r.Took, nil
}
