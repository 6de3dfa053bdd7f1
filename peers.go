package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Peers is a read-only view of the peers that the node knows.
func (n *Node) Peers() peerstore.View { return n.env.Store.View() }

// AddPeer adds a peer, or merges what is new about a known one. It is durable
// when AddPeer returns.
func (n *Node) AddPeer(ctx context.Context, p peerstore.Peer) error {
	if p.ID.IsZero() {
		p.ID = p.Key.NodeID()
	}
	return n.addPeer(ctx, actors.AddPeer{Peer: p, Durable: true})
}

func (n *Node) addPeer(ctx context.Context, m actors.AddPeer) error {
	p := m.Peer
	if p.ID == n.env.Self {
		return actors.ErrSelf
	}
	r, err := ask[actors.PeerAdded](ctx, n, n.env.Peers, m)
	return peerError("add", p.ID, cmp.Or(err, r.Err))
}

// AddSeed adds a peer given as KEY::ADDRESS[::ADDRESS…], the form of Node.Seed,
// and returns its id. The next dial tries these addresses first, whatever else is
// known of the peer.
func (n *Node) AddSeed(ctx context.Context, text string) (identity.NodeID, error) {
	p, err := peerstore.ParseSeed(text)
	if err != nil {
		return identity.NodeID{}, err
	}
	return p.ID, n.addPeer(ctx, actors.AddPeer{Peer: p, Durable: true, Given: true})
}

// ForgetPeer removes a peer from the store.
func (n *Node) ForgetPeer(ctx context.Context, peer identity.NodeID) error {
	r, err := ask[actors.PeerForgotten](ctx, n, n.env.Peers, actors.ForgetPeer{Peer: peer})
	return peerError("forget", peer, cmp.Or(err, r.Err))
}

// ExportPeers writes all that is known of peers as JSON, and returns how many
// there are. ImportPeers reads it again.
func (n *Node) ExportPeers(w io.Writer) (int, error) {
	count, err := peerstore.WriteJSON(w, n.env.Store.View().All())
	if err != nil {
		return count, fmt.Errorf("gamelan: export peers: %w", err)
	}
	return count, nil
}

// ImportPeers adds the peers of such JSON, or merges what is new about known
// ones, bans and statistics too, except bans of peers on the allow list. All of it is checked before anything changes; a
// flaw is reported as a *[peerstore.ImportError]. It is durable when ImportPeers
// returns; with another error it is so for what is counted as done.
func (n *Node) ImportPeers(ctx context.Context, r io.Reader) (done actors.Imported, err error) {
	peers, err := peerstore.ReadJSON(r, n.env.Wall(), n.env.Store.MaxPeers())
	if err != nil {
		return done, fmt.Errorf("gamelan: import peers: %w", err)
	}
	for chunk := range slices.Chunk(peers, importChunk) {
		r, err := ask[actors.PeersImported](ctx, n, n.env.Peers, actors.ImportPeers{Peers: chunk})
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

// StoreReport says what the store of a data directory holds: the peers, and the
// inbox of a node that has one.
type StoreReport struct {
	peerstore.Report
	Inbox inbox.Report
}

// CheckStore looks at the store in a data directory that no node uses, and
// changes nothing: it says what Start will find, and whether Start will upgrade
// the store, after copying it. The error is the one that Start would report.
func CheckStore(dataDir string) (r StoreReport, err error) {
	var c inbox.Checker
	if r.Report, err = peerstore.Check(filepath.Join(dataDir, kv.StoreDir), c.Visit); err != nil {
		return r, fmt.Errorf("gamelan: peer store: %w", err)
	}
	if r.Inbox, err = c.Report(); err != nil {
		return r, fmt.Errorf("gamelan: %w", err)
	}
	return r, nil
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
func (n *Node) Ban(ctx context.Context, peer identity.NodeID, d time.Duration, reason string) error {
	if d <= 0 {
		return fmt.Errorf("gamelan: ban peer %s: the duration %v is not positive; use Unban to lift a ban", peer, d)
	}
	if peer == n.env.Self {
		return actors.ErrSelf
	}
	r, err := ask[actors.PeerBanned](ctx, n, n.env.Connectivity, actors.RequestBan{Peer: peer, For: d, Reason: reason})
	return peerError("ban", peer, cmp.Or(err, r.Err))
}

// Unban lifts a ban. It is durable when Unban returns.
func (n *Node) Unban(ctx context.Context, peer identity.NodeID) error {
	return peerError("unban", peer, n.pardon(ctx, peer))
}

// Allow puts a peer on the list of those who are never banned, by rule or on
// request or by an import, until Disallow takes it off or the node stops;
// Config.Allow is for always. A ban that there is ends; that is durable when
// Allow returns. An error that is neither ErrClosed nor ctx's says that the ban
// may be back when the node has stopped and the peer is not allowed.
func (n *Node) Allow(ctx context.Context, peer identity.NodeID) error {
	_, err := ask[actors.PeerAllowed](ctx, n, n.env.Connectivity, actors.AllowPeer{Peer: peer})
	if err == nil {
		err = n.pardon(ctx, peer)
	}
	return peerError("allow", peer, err)
}

// pardon returns when a ban is lifted, and the disk knows.
func (n *Node) pardon(ctx context.Context, peer identity.NodeID) error {
	r, err := ask[actors.PeerUnbanned](ctx, n, n.env.Peers, actors.UnbanPeer{Peer: peer})
	return cmp.Or(err, r.Err)
}

// Disallow takes a peer off the allow list.
func (n *Node) Disallow(ctx context.Context, peer identity.NodeID) error {
	_, err := ask[actors.PeerAllowed](ctx, n, n.env.Connectivity, actors.AllowPeer{Peer: peer, Off: true})
	return peerError("take off the allow list", peer, err)
}

func peerError(what string, peer identity.NodeID, err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("gamelan: %s peer %s: %w", what, peer, err)
}
