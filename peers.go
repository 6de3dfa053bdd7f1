package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// Peers are the peers that a node knows, connected or not. [Node.Peers] returns
// it. Records that it returns share what they point to and must not be changed.
type Peers struct{ n *Node }

// Peers returns the peers that the node knows.
func (n *Node) Peers() *Peers { return &Peers{n} }

// Get returns what is known of a peer.
func (p *Peers) Get(peer identity.NodeID) (peerstore.Peer, bool) { return p.view().Get(peer) }

// All iterates over the known peers in the order of their ids, as they are when
// the loop begins.
func (p *Peers) All() iter.Seq[peerstore.Peer] { return p.view().All() }

// Len returns how many peers are known.
func (p *Peers) Len() int { return p.view().Len() }

func (p *Peers) view() peerstore.View { return p.n.trunk.PeerStore().View() }

// Closest returns up to count connected nodes, nearest to target first, without
// the excluded ones.
func (p *Peers) Closest(target identity.NodeID, count int, except ...identity.NodeID) []identity.NodeID {
	return connpool.Closest(target, p.n.trunk.Live(), count, except...)
}

// Random returns up to count connected nodes in random order, without the
// excluded ones.
func (p *Peers) Random(count int, except ...identity.NodeID) []identity.NodeID {
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	return connpool.Random(r, p.n.trunk.Live(), count, except...)
}

// Add adds a peer, or merges what is new about a known one. It is durable
// when Add returns.
func (p *Peers) Add(ctx context.Context, peer peerstore.Peer) error {
	if peer.ID.IsZero() {
		peer.ID = peer.Key.NodeID()
	}
	return p.add(ctx, actors.AddPeer{Peer: peer, Durable: true})
}

func (p *Peers) add(ctx context.Context, m actors.AddPeer) error {
	if m.Peer.ID == p.n.trunk.Self() {
		return actors.ErrSelf
	}
	r, err := ask[actors.PeerAdded](ctx, p.n, p.n.trunk.Peers(), m)
	return peerError("add", m.Peer.ID, cmp.Or(err, r.Err))
}

// AddSeed adds a peer given as KEY::ADDRESS[::ADDRESS…], the form of Node.Seed,
// and returns its id. The next dial tries these addresses first, whatever else is
// known of the peer.
func (p *Peers) AddSeed(ctx context.Context, text string) (identity.NodeID, error) {
	peer, err := peerstore.ParseSeed(text)
	if err != nil {
		return identity.NodeID{}, err
	}
	return peer.ID, p.add(ctx, actors.AddPeer{Peer: peer, Durable: true, Given: true})
}

// Forget removes a peer from the store.
func (p *Peers) Forget(ctx context.Context, peer identity.NodeID) error {
	r, err := ask[actors.PeerForgotten](ctx, p.n, p.n.trunk.Peers(), actors.ForgetPeer{Peer: peer})
	return peerError("forget", peer, cmp.Or(err, r.Err))
}

// Export writes all that is known of peers as JSON, and returns how many
// there are. Import reads it again.
func (p *Peers) Export(w io.Writer) (int, error) {
	count, err := peerstore.WriteJSON(w, p.n.trunk.PeerStore().View().All())
	if err != nil {
		return count, fmt.Errorf("gamelan: export peers: %w", err)
	}
	return count, nil
}

// Import adds the peers of such JSON, or merges what is new about known ones, bans
// and statistics too, except bans of peers on the allow list. It checks all of it
// before anything changes, and reports a flaw as a *[peerstore.ImportError]. It is
// durable when Import returns; with another error that is so for what is counted as
// done.
func (p *Peers) Import(ctx context.Context, r io.Reader) (done actors.Imported, err error) {
	peers, err := peerstore.ReadJSON(r, p.n.trunk.Wall(), p.n.trunk.PeerStore().MaxPeers())
	if err != nil {
		return done, fmt.Errorf("gamelan: import peers: %w", err)
	}
	for chunk := range slices.Chunk(peers, importChunk) {
		r, err := ask[actors.PeersImported](ctx, p.n, p.n.trunk.Peers(), actors.ImportPeers{Peers: chunk})
		done = actors.Imported{Added: done.Added + r.Done.Added, Merged: done.Merged + r.Done.Merged, Skipped: done.Skipped + r.Done.Skipped}
		if err = cmp.Or(err, r.Err); err != nil {
			if errors.Is(err, ErrClosed) {
				return done, err
			}
			return done, fmt.Errorf("gamelan: import peers: %w", err)
		}
	}
	return done, nil
}

// importChunk is how many peers are imported at a time; others are served in
// between.
const importChunk = 500

// Ban refuses connections with a peer for a while and has the one there is
// closed. It holds at once, is not shortened by a later one, and is durable when
// Ban returns. A peer on the allow list is not banned, on nobody's request: the
// error is [actors.ErrSpared]. Any other than that and ErrClosed says that the
// ban may be forgotten when the node stops. It ends at a time of the system's
// clock: setting that clock ahead shortens it, setting it back prolongs it.
func (p *Peers) Ban(ctx context.Context, peer identity.NodeID, d time.Duration, reason string) error {
	if d <= 0 {
		return fmt.Errorf("gamelan: ban peer %s: the duration %v is not positive; use Unban to lift a ban", peer, d)
	}
	if peer == p.n.trunk.Self() {
		return actors.ErrSelf
	}
	r, err := ask[actors.PeerBanned](ctx, p.n, p.n.trunk.Connectivity(), actors.RequestBan{Peer: peer, For: d, Reason: reason})
	return peerError("ban", peer, cmp.Or(err, r.Err))
}

// Banned reports whether a peer is banned, until when and why.
func (p *Peers) Banned(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	return p.n.trunk.Ban(peer)
}

// Unban lifts a ban. It is durable when Unban returns.
func (p *Peers) Unban(ctx context.Context, peer identity.NodeID) error {
	return peerError("unban", peer, p.n.pardon(ctx, peer))
}

// Allow puts a peer on the list of those who are never banned, by rule or on
// request or by an import, until Disallow takes it off or the node stops;
// Config.Allow is for always. A ban that there is ends; that is durable when
// Allow returns. An error that is neither ErrClosed nor ctx's says that the ban
// may be back when the node has stopped and the peer is not allowed.
func (p *Peers) Allow(ctx context.Context, peer identity.NodeID) error {
	_, err := ask[actors.PeerAllowed](ctx, p.n, p.n.trunk.Connectivity(), actors.AllowPeer{Peer: peer})
	if err == nil {
		err = p.n.pardon(ctx, peer)
	}
	return peerError("allow", peer, err)
}

// pardon returns when a ban is lifted, and the disk knows.
func (n *Node) pardon(ctx context.Context, peer identity.NodeID) error {
	r, err := ask[actors.PeerUnbanned](ctx, n, n.trunk.Peers(), actors.UnbanPeer{Peer: peer})
	return cmp.Or(err, r.Err)
}

// Disallow takes a peer off the allow list.
func (p *Peers) Disallow(ctx context.Context, peer identity.NodeID) error {
	_, err := ask[actors.PeerAllowed](ctx, p.n, p.n.trunk.Connectivity(), actors.AllowPeer{Peer: peer, Off: true})
	return peerError("take off the allow list", peer, err)
}

// Blame counts an offence against the rules of your protocol; reason is shown
// with the connection's end. The third within a minute closes the connection that
// there is with the peer then. It is no ban: see [Peers.Ban]. Blame does not wait, so
// actors and methods may call it.
func (p *Peers) Blame(peer identity.NodeID, reason string) {
	p.n.trunk.System().Root.Send(p.n.trunk.Connectivity(), actors.BlamePeer{Peer: peer, Reason: reason})
}

func peerError(what string, peer identity.NodeID, err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("gamelan: %s peer %s: %w", what, peer, err)
}
