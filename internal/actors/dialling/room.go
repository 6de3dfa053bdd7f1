// Package dialling is the room of dials. The actor dialer carries out what a pure scheduler
// decides, and answers those that have asked for a connection.
package dialling

import (
	"bytes"
	"context"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Settings are the settings of dials. They never change.
type Settings struct {
	Transports []transport.Transport
	MaxDials   int                     // automatic dials under way at a time
	DialRate   int                     // automatic dials begun in a second
	Excluded   []protocol.AddressRange // never dialled
	Own        []ma.Multiaddr          // addresses that lead to this node; never dialled either

	// Listed and Admit are those of [connections.Settings].
	Listed, Admit func(identity.PublicKey) error
}

// Room is the room of dials. Its views outlive restarts of the dialer.
type Room struct {
	*base.Base
	Settings
	needs needs

	// Dials has the last attempts for each peer. Written by dialer.
	Dials view.Log[identity.NodeID, actors.DialAttempt]

	offered view.Map[identity.NodeID, offered] // offers for peers, which the store may not know; written by dialer
	aims    aims                               // counts where dials that strangers caused go
	ended   ended                              // counts dials; written by dialer
}

// needs is what this room needs of the others.
type needs interface {
	// Of the peer store: its records, a *BannedError while a peer is banned, and the addresses
	// that the user has just given.
	Records() peerstore.View
	Banned(peer identity.NodeID) error
	Given(peer identity.NodeID) []peerbook.GivenAddress

	// Of connections: how a connection is set up.
	Announced(ctx context.Context) error
	AwaitInbound(wanted context.Context, peer identity.NodeID) error
	UpgradeConfig(c transport.Conn) upgrade.Config
	Upgraded(res *upgrade.Result, c transport.Conn, via string, d protocol.Direction) connections.Upgraded
}

// How much the node remembers: the last dialsKept attempts for each of the dialsPeers
// peers that were dialled last.
const (
	dialsKept  = 32
	dialsPeers = 512
)

// NewRoom makes the room.
func NewRoom(b *base.Base, s Settings, needs needs) *Room {
	r := &Room{Base: b, Settings: s, needs: needs, aims: aims{of: dial.NewAims()}}
	r.Dials.Keys, r.Dials.PerKey = dialsPeers, dialsKept
	return r
}

// own reports whether the address leads to this node.
func (r *Room) own(a ma.Multiaddr) bool {
	for _, o := range r.Own {
		if o.Equal(a) {
			return true
		}
	}
	for _, b := range r.Identity().Claim.Addresses {
		if bytes.Equal(b, a.Bytes()) {
			return true
		}
	}
	return false
}

func (r *Room) transportFor(a ma.Multiaddr) transport.Transport {
	for _, t := range r.Transports {
		if t.Handles(a) {
			return t
		}
	}
	return nil
}

// MayDial reports whether the node may dial an IP address for a peer.
func (r *Room) MayDial(to ma.Multiaddr) bool {
	ip, ok := transport.IP(to)
	return ok && r.transportFor(to) != nil && !address.Excluded(r.Excluded, to) && (r.Profile.TestAddresses || address.Public(ip) == nil)
}

// DialRaw connects to an address without a handshake. It fails with [actors.ErrDraining] while the node drains.
func (r *Room) DialRaw(ctx context.Context, to ma.Multiaddr) (transport.Conn, error) {
	if r.Draining.Load() != nil {
		return nil, actors.ErrDraining
	}
	via := r.transportFor(to)
	if via == nil {
		return nil, actors.ErrNoAddress
	}
	return via.Dial(ctx, to)
}

// FirstAddress returns the address of a peer that a dial would try first.
func (r *Room) FirstAddress(p peerstore.Peer) (ma.Multiaddr, error) {
	if err := r.Listed(p.Key); err != nil {
		return nil, err
	}
	list, err := r.dialable(p, nil)
	if err != nil {
		return nil, err
	}
	return list[0].addr, nil
}
