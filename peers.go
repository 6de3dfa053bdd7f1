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
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Peers is a node's handle for the peers that it knows, connected or not. [Node.Peers]
// returns it. The records that it returns share memory with the node and must not be
// changed.
type Peers struct{ n *Node }

// Peers returns the node's handle for known peers.
func (n *Node) Peers() *Peers { return &Peers{n} }

// Get returns the record of a known peer.
func (p *Peers) Get(peer identity.NodeID) (peerstore.Peer, bool) { return p.view().Get(peer) }

// Find returns the peer that a person means by a node id, a public key, or its first digits, at
// least four. Peers with a record are found, and by a whole id or key those with a connection.
// The error matches [ErrUnknownPeer] or [ErrSelf], or is an [*inspect.Error] that names several peers.
func (p *Peers) Find(text string) (identity.NodeID, error) { return p.n.e.Trunk.FindPeer(text) }

// All iterates over the known peers in the order of their ids. It yields the records as
// they are when the loop begins.
func (p *Peers) All() iter.Seq[peerstore.Peer] { return p.view().All() }

// Len returns how many peers are known.
func (p *Peers) Len() int { return p.view().Len() }

func (p *Peers) view() peerstore.View { return p.n.e.Trunk.PeerStore().View() }

// Closest returns up to count connected nodes, nearest to target first, without
// the excluded ones.
func (p *Peers) Closest(target identity.NodeID, count int, except ...identity.NodeID) []identity.NodeID {
	return connpool.Closest(target, p.n.e.Trunk.Live(), count, except...)
}

// Random returns up to count connected nodes in random order, without the
// excluded ones.
func (p *Peers) Random(count int, except ...identity.NodeID) []identity.NodeID {
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	return connpool.Random(r, p.n.e.Trunk.Live(), count, except...)
}

// Add adds a peer, or merges new facts into the record of a known peer. The change is
// durable when Add returns.
func (p *Peers) Add(ctx context.Context, peer peerstore.Peer) error {
	if peer.ID.IsZero() {
		peer.ID = peer.Key.NodeID()
	}
	return p.add(ctx, peerbook.AddPeer{Peer: peer, Durable: true})
}

func (p *Peers) add(ctx context.Context, m peerbook.AddPeer) error {
	if m.Peer.ID == p.n.e.Trunk.Self() {
		return actors.ErrSelf
	}
	r, err := assemble.Ask[peerbook.PeerAdded](ctx, p.n.e, p.n.e.Trunk.Peers(), m)
	return peerError("add", m.Peer.ID, cmp.Or(err, r.Err))
}

// AddSeed adds a peer in the form of [Node.Seed], KEY::ADDRESS[::ADDRESS…], and returns its
// id. The next dial tries these addresses before all other known addresses of the peer.
func (p *Peers) AddSeed(ctx context.Context, text string) (identity.NodeID, error) {
	peer, err := peerstore.ParseSeed(text)
	if err != nil {
		return identity.NodeID{}, err
	}
	return peer.ID, p.add(ctx, peerbook.AddPeer{Peer: peer, Durable: true, Given: true})
}

// AddAt is AddSeed for a peer that does not become a seed: the node does not enter the network
// through it. A peer that is a seed stays one.
func (p *Peers) AddAt(ctx context.Context, text string) (identity.NodeID, error) {
	peer, err := peerstore.ParseSeed(text)
	if err != nil {
		return identity.NodeID{}, err
	}
	peer.Flags &^= peerstore.FlagSeed
	return peer.ID, p.add(ctx, peerbook.AddPeer{Peer: peer, Durable: true, Given: true, Keep: true})
}

// Offer tells the node, in the form of [Node.Seed], where a peer may be, and returns the
// peer's id. It stores nothing: the next dial tries these addresses before all that are
// known, and the first at which the peer proves its key is stored, with the peer, which does
// not become a seed. Messages to the peer may be sent at once, as after AddSeed. Addresses
// that have not worked are forgotten 10 s after the dial has failed. While the peer is
// connected Offer does nothing.
func (p *Peers) Offer(ctx context.Context, text string) (identity.NodeID, error) {
	peer, err := peerstore.ParseSeed(text)
	if err != nil {
		return identity.NodeID{}, err
	}
	if peer.ID == p.n.e.Trunk.Self() {
		return peer.ID, peerError("offer", peer.ID, actors.ErrSelf)
	}
	peer.Flags &^= peerstore.FlagSeed
	_, err = assemble.Ask[dialling.PeerOffered](ctx, p.n.e, p.n.e.Trunk.Dialer(), dialling.OfferPeer{Peer: peer})
	return peer.ID, peerError("offer", peer.ID, err)
}

// Given returns the peer that a person means by a text as for Find, or by KEY::ADDRESS, as Offer does,
// or with keep AddAt. The errors are theirs; for the node itself it is [ErrSelf].
func (p *Peers) Given(ctx context.Context, text string, keep bool) (identity.NodeID, error) {
	add := p.Offer
	switch {
	case !strings.Contains(text, "::"):
		return p.Find(text)
	case keep:
		add = p.AddAt
	}
	id, err := add(ctx, text)
	if errors.Is(err, ErrSelf) {
		err = ErrSelf // without what was being done
	}
	return id, err
}

// Forget removes a peer from the store.
func (p *Peers) Forget(ctx context.Context, peer identity.NodeID) error {
	r, err := assemble.Ask[peerbook.PeerForgotten](ctx, p.n.e, p.n.e.Trunk.Peers(), peerbook.ForgetPeer{Peer: peer})
	return peerError("forget", peer, cmp.Or(err, r.Err))
}

// Export writes the records of all known peers as JSON, and returns how many there are.
// Import reads this form.
func (p *Peers) Export(w io.Writer) (int, error) {
	count, err := peerstore.WriteJSON(w, p.n.e.Trunk.PeerStore().View().All())
	if err != nil {
		return count, fmt.Errorf("gamelan: export peers: %w", err)
	}
	return count, nil
}

// Import reads the JSON that Export writes. It adds new peers and merges new facts into
// the records of known ones, including bans and statistics, but no bans of peers on the
// allow list. It checks all of the JSON before it changes anything, and returns a
// *[peerstore.ImportError] for a flaw. The changes are durable when Import returns. With
// any other error, done counts the changes that were made; these are durable too.
func (p *Peers) Import(ctx context.Context, r io.Reader) (done Imported, err error) {
	peers, err := peerstore.ReadJSON(r, p.n.e.Trunk.Wall(), p.n.e.Trunk.PeerStore().MaxPeers())
	if err != nil {
		return done, fmt.Errorf("gamelan: import peers: %w", err)
	}
	for chunk := range slices.Chunk(peers, importChunk) {
		r, err := assemble.Ask[peerbook.PeersImported](ctx, p.n.e, p.n.e.Trunk.Peers(), peerbook.ImportPeers{Peers: chunk})
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

// importChunk is how many peers are imported at a time. Between two chunks the peer store
// answers others.
const importChunk = 500

// Ban bans a peer for the duration d: its connection is closed, and further ones are
// refused. The ban takes effect at once and is durable when Ban returns. A later ban never
// shortens it. A ban ends at a time of the system's clock, so setting that clock forward
// shortens it and setting it back prolongs it.
//
// A peer on the allow list is never banned, and the error is [ErrSpared]. Ban also
// refuses the node's own id and a duration that is not positive. Any other error, except
// [ErrClosed], means that the ban may be forgotten when the node stops.
func (p *Peers) Ban(ctx context.Context, peer identity.NodeID, d time.Duration, reason string) error {
	if d <= 0 {
		return fmt.Errorf("gamelan: ban peer %s: the duration %v is not positive; use Unban to lift a ban", peer, d)
	}
	if peer == p.n.e.Trunk.Self() {
		return actors.ErrSelf
	}
	r, err := assemble.Ask[actors.PeerBanned](ctx, p.n.e, p.n.e.Trunk.Connectivity(), connectivity.RequestBan{Peer: peer, For: d, Reason: reason})
	return peerError("ban", peer, cmp.Or(err, r.Err))
}

// Banned reports whether a peer is banned, until when and why.
func (p *Peers) Banned(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	return p.n.e.Trunk.Ban(peer)
}

// Unban lifts a ban. It is durable when Unban returns.
func (p *Peers) Unban(ctx context.Context, peer identity.NodeID) error {
	return peerError("unban", peer, p.n.e.Pardon(ctx, peer))
}

// Allow adds a peer to the allow list, whose peers are never banned, neither by rule nor
// on request nor by an import. The peer stays on the list until Disallow removes it or the
// node stops; use Config.Allow to allow a peer at every start. Allow ends a ban of the
// peer, and that is durable when Allow returns. An error that is neither [ErrClosed] nor
// ctx's means that the ban may come back at the next start, unless the peer is allowed
// then.
func (p *Peers) Allow(ctx context.Context, peer identity.NodeID) error {
	_, err := assemble.Ask[connectivity.PeerAllowed](ctx, p.n.e, p.n.e.Trunk.Connectivity(), connectivity.AllowPeer{Peer: peer})
	if err == nil {
		err = p.n.e.Pardon(ctx, peer)
	}
	return peerError("allow", peer, err)
}

// Disallow removes a peer from the allow list.
func (p *Peers) Disallow(ctx context.Context, peer identity.NodeID) error {
	_, err := assemble.Ask[connectivity.PeerAllowed](ctx, p.n.e, p.n.e.Trunk.Connectivity(), connectivity.AllowPeer{Peer: peer, Off: true})
	return peerError("take off the allow list", peer, err)
}

// Admit lists a peer, so that a node with [AdmitListed] has connections with it. It counts at once,
// and DataDir keeps the list. It is durable when Admit returns; with [ErrNotDurable] it may be forgotten
// when the node stops.
func (p *Peers) Admit(ctx context.Context, key identity.PublicKey) error {
	return p.admit(ctx, "admit", key, false)
}

// Unadmit takes a peer off the list. With [AdmitListed] its connection is closed. The error matches
// [ErrNotListed] if it was not on the list, [ErrListedSeed] if it is a seed of the settings, which stays on
// it, and is else as for Admit.
func (p *Peers) Unadmit(ctx context.Context, key identity.PublicKey) error {
	return p.admit(ctx, "take off the list of admitted peers the", key, true)
}

// AdmitSeeds lists peers until the node stops, as the seeds of the settings are, and in their place. With
// [AdmitListed] the connections of former ones are closed.
func (p *Peers) AdmitSeeds(keys []identity.PublicKey) { p.n.e.Admission.SetSeeds(keys) }

func (p *Peers) admit(ctx context.Context, what string, key identity.PublicKey, off bool) error {
	if p.n.e.Stopping() {
		return ErrClosed
	}
	err := ctx.Err()
	if err == nil {
		err = p.n.e.Admission.Change(key, off)
	}
	return peerError(what, key.NodeID(), err)
}

// Admits returns an error that matches [ErrNotAdmitted] if the node has connections with listed peers alone, and the
// owner of the key is not listed. It does not ask Config.Admit.
func (p *Peers) Admits(key identity.PublicKey) error { return p.n.e.Admission.Listed(key) }

// Admitted returns the keys on the list, in order, without the seeds of the settings.
func (p *Peers) Admitted() []identity.PublicKey { return p.n.e.Admission.Keys() }

// Blame counts an offence of a peer against the rules of your protocol. The third offence
// within a minute closes the connection with the peer, and reason is recorded as its
// cause. Blame does not ban the peer: see [Peers.Ban]. Blame does not wait, so actors and
// methods of services may call it.
func (p *Peers) Blame(peer identity.NodeID, reason string) {
	p.n.e.Trunk.System().Root.Send(p.n.e.Trunk.Connectivity(), connectivity.BlamePeer{Peer: peer, Reason: reason})
}

func peerError(what string, peer identity.NodeID, err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("gamelan: %s peer %s: %w", what, peer, err)
}
