package daemon

import (
	"context"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// dialPeer is the API's action that connects to a peer. Addresses that come with the key
// are stored only after they have worked.
func dialPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Do: func(ctx context.Context, peer string, _ url.Values) (any, error) {
		id, err := offered(ctx, n, peer)
		if err != nil {
			return nil, err
		}
		_, had := n.Connection(id)
		conn, err := n.Dial(ctx, id)
		if err != nil {
			return nil, dialFailed(peer, err)
		}
		v := peerAnswer(n, id)
		if !had && strings.Contains(peer, "::") {
			v.Address, v.GivenError = elsewhere(n, conn)
		}
		return v, nil
	}}
}

// dialFailed returns the API's error of a dial. peer is the text that a person has written.
func dialFailed(peer string, err error) error {
	hint := "see what the node has tried with gamelan why " + peer
	if strings.Contains(peer, "::") {
		hint = api.GivenHint
	}
	return &inspect.Error{Code: inspect.CodeFailed, Message: failure.Text(err), Hint: hint}
}

// offered returns the id of a peer that is to be dialled, and offers the addresses that
// come with its key to the node.
func offered(ctx context.Context, n *gamelan.Node, peer string) (identity.NodeID, error) {
	id, err := nodeSender{n}.findOr(ctx, peer, n.Peers().Offer)
	if err != nil {
		return id, notFound(err, api.UnknownHint)
	}
	return id, nil
}

// elsewhere returns the address of a connection that was made although the given
// addresses have failed, and the error of the last of them. It returns nothing if one of
// them has worked.
func elsewhere(n *gamelan.Node, conn *gamelan.Connection) (addr, why string) {
	for _, a := range n.Inspection().Peer(conn.Peer).Attempts {
		switch {
		case a.Err == nil && a.Given:
			addr, why = "", ""
		case a.Given:
			addr, why = conn.Addr.String(), failure.Text(a.Err)
		}
	}
	return addr, why
}
