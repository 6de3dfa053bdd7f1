package dialling

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// OfferPeer tells the dialer where a peer may be, and the store nothing: the next dial of
// the peer tries these addresses first, and the first at which the peer proves its key is
// stored together with the peer. The offer ends with that connection, 10 s after a dial
// that has failed, a minute after the offer if nobody dials, and with another offer for
// the same peer. While the peer is connected an offer does nothing. Reply: PeerOffered.
type OfferPeer struct {
	Peer peerstore.Peer // the record to store, with the addresses
}

// PeerOffered replies to OfferPeer.
type PeerOffered struct{ Peer identity.NodeID }

// offered is an offer that has not ended.
type offered struct {
	serial uint64
	peer   peerstore.Peer
	at     time.Time
}

// offerTick ends an offer, unless another has taken its place.
type offerTick struct {
	peer   identity.NodeID
	serial uint64
}

const (
	maxOffers  = 256              // offers that have not ended
	offerLimit = time.Minute      // for the first dial to begin
	offerGrace = 10 * time.Second // after a dial that has failed: a message is dialled for more than once
)

func (d *dialer) offer(c actor.Context, m OfferPeer) {
	defer c.Respond(PeerOffered{m.Peer.ID})
	if _, connected := d.room.Connections.Get(m.Peer.ID); connected { // nobody will dial
		return
	}
	if d.room.offered.Len() >= maxOffers {
		d.room.offered.Clear()
	}
	o := offered{d.room.NewID(), m.Peer, supervisor.Now(c)}
	d.room.offered.Set(m.Peer.ID, o)
	supervisor.After(c, offerLimit, offerTick{m.Peer.ID, o.serial})
}

// offerDue ends an offer when its time is over, unless a dial with it is under way: the end
// of that dial sets a new time.
func (d *dialer) offerDue(m offerTick) {
	if d.room.offerOf(m.peer) == m.serial && d.offers[m.peer] != m.serial {
		d.room.offered.Delete(m.peer)
	}
}

// offerDialled ends the offer of a peer that is connected now, or lets it end soon.
func (d *dialer) offerDialled(c actor.Context, peer identity.NodeID, connected bool) {
	serial := d.offers[peer]
	delete(d.offers, peer)
	switch {
	case serial == 0 || serial != d.room.offerOf(peer):
	case connected:
		d.room.offered.Delete(peer)
	default:
		supervisor.After(c, offerGrace, offerTick{peer, serial})
	}
}

// storeOffered has the peer of an offer stored, with the address at which it was reached.
// The message comes to peers before that of the connection.
func (d *dialer) storeOffered(c actor.Context, r *connections.Upgraded) {
	o, ok := d.room.offered.Get(r.Peer)
	if !ok {
		return
	}
	if i := slices.IndexFunc(o.peer.Addresses, func(a peerstore.Address) bool { return a.Addr.Equal(r.Addr) }); i >= 0 {
		p := o.peer
		p.Addresses = p.Addresses[i : i+1 : i+1]
		c.Send(d.room.Peers, peerbook.AddPeer{Peer: p, Durable: true, Keep: true})
	}
}

// record returns what is known of a peer, from the store and from an offer, and the
// addresses of the offer.
func (r *Room) record(peer identity.NodeID) (_ peerstore.Peer, addrs []peerbook.GivenAddress, ok bool) {
	p, ok := r.needs.Records().Get(peer)
	o, isOffered := r.offered.Get(peer)
	if !isOffered {
		return p, nil, ok
	}
	for _, a := range o.peer.Addresses {
		addrs = append(addrs, peerbook.GivenAddress{Addr: a.Addr, At: o.at})
	}
	p.ID, p.Key = o.peer.ID, o.peer.Key
	return p, addrs, true
}

// offerOf returns the number of the offer for a peer, 0 without one.
func (r *Room) offerOf(peer identity.NodeID) uint64 {
	o, _ := r.offered.Get(peer)
	return o.serial
}
