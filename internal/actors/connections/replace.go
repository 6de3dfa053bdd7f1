package connections

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// makeRoom closes an inbound connection for a new peer that has proved its identity, and
// reports whether there was one that may be closed. It is called when all places are taken.
//
// spec: comms 125, V 8, V 39
func (r *Room) makeRoom(c actor.Context, newcomer identity.NodeID, from peerstore.Origin) bool {
	now := supervisor.Now(c)
	var guests []connpool.InboundConn
	refs := make(map[uint64]*actors.ConnRef)
	for peer, ref := range r.Connections.All() {
		if ref.Direction != protocol.Inbound || ref.Link().Live == nil {
			continue
		}
		g := connpool.InboundConn{Peer: peer, Source: share.Source(ref.Link().Origin), Conn: ref.ID, Quiet: now.Sub(ref.Since), KeptOpen: r.stays(ref)}
		reached := r.reached(peer)
		g.Valued, g.Last = g.KeptOpen || reached || ref.Useful(), reached || g.Quiet >= share.LastAfter
		if s := ref.Link().Live.Session.Load(); s != nil {
			g.Quiet = min(g.Quiet, s.Quiet())
		}
		refs[ref.ID] = ref
		guests = append(guests, g)
	}
	g, ok := connpool.Replaceable(guests, connpool.InboundConn{Peer: newcomer, Source: share.Source(from)}, supervisor.Rand(c).IntN)
	if !ok {
		return false
	}
	refs[g.Conn].Link().Live.Leaving.Store(true)
	c.Send(r.Conns, CloseConn{g.Peer, g.Conn, actors.CloseReason{Code: actors.CloseReplaced, By: "us"}})
	return true
}

// stays reports whether a connection is never closed to make room: it runs a call or is being
// closed already, or its peer is protected, wanted by a part, or on the allow list.
func (r *Room) stays(ref *actors.ConnRef) bool {
	return ref.Calling() || len(r.needs.Protectors(ref.Peer)) > 0 || r.needs.Allowed(ref.Peer) || r.needs.KeptOpen(ref.Peer) || ref.Link().Live.Leaving.Load()
}

// reached reports whether a dial of this node has ever reached the peer.
func (r *Room) reached(peer identity.NodeID) bool {
	p, ok := r.needs.Records().Get(peer)
	return ok && !p.LastSeen().IsZero()
}

// substreamsOfUse reports whether a substream of a protocol makes its connection useful by
// being opened. A substream of messages, or for a child of services such as rpc, does not:
// there only a message or a call counts. Nor does one that this node opens to read a list of
// peers, or to send a list of protocols, nor one by which nodes find out
// whether they can be reached, or why not.
func (r *Room) substreamsOfUse(id protocol.ID, handler *actor.PID) bool {
	if id == protocol.PeersID || id == more.ID || id == reach.ID || id == why.ID {
		return false
	}
	if r.needs.IsMessaging(id) {
		return false
	}
	return handler == nil || !strings.HasPrefix(handler.Id, r.Services.Id+"/")
}
