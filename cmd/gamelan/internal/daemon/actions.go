package daemon

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// addPeer returns the API's function that adds a peer to a node.
func addPeer(n *gamelan.Node) func(context.Context, string) (any, error) {
	return func(ctx context.Context, seed string) (any, error) {
		id, err := n.Peers().AddSeed(ctx, seed)
		if err != nil {
			return nil, errors.New(failure.Text(err))
		}
		return peerAnswer(n, id), nil
	}
}

// importPeers returns the API's function that imports peers into a node. An error in the
// text is the client's mistake.
func importPeers(n *gamelan.Node) func(context.Context, io.Reader) (any, error) {
	return func(ctx context.Context, r io.Reader) (any, error) {
		done, err := n.Peers().Import(ctx, r)
		if bad := (*peerstore.ImportError)(nil); errors.As(err, &bad) {
			plain := *bad
			plain.Remedy = ""
			_, message, _ := strings.Cut(plain.Error(), peerstore.ErrBadImport.Error()+": ")
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: failure.OneLine(message), Hint: bad.Remedy}
		}
		if err != nil {
			return nil, errors.New(failure.Text(err))
		}
		return api.Imported{Added: done.Added, Merged: done.Merged, Skipped: done.Skipped}, nil
	}
}

// peerActions returns the API's actions on one peer of a node, by verb.
func peerActions(n *gamelan.Node) map[string]inspect.PeerAction {
	return map[string]inspect.PeerAction{
		// A peer given as KEY::ADDRESS is added by being found. It is no seed, as it would be by POST /v1/peers.
		"remember": onPeer(n, nil, func(context.Context, identity.NodeID, url.Values) error { return nil }),
		"forget": onPeer(n, nil, func(ctx context.Context, id identity.NodeID, _ url.Values) error {
			return n.Peers().Forget(ctx, id)
		}),
		"dial": dialPeer(n),
		"disconnect": onPeer(n, nil, func(ctx context.Context, id identity.NodeID, _ url.Values) error {
			if _, ok := n.Connection(id); !ok {
				return errors.New("there is no connection to it")
			}
			return n.Disconnect(ctx, id)
		}),
		"ban": banPeer(n),
		"unban": onPeer(n, nil, func(ctx context.Context, id identity.NodeID, _ url.Values) error {
			if _, _, ok := n.Peers().Banned(id); !ok {
				return errors.New("it is not banned")
			}
			return n.Peers().Unban(ctx, id)
		}),
		"ping": pingPeer(n),
		"why":  whyPeer(n),
	}
}

// banPeer returns the action that bans a peer. It answers with the end of the ban.
func banPeer(n *gamelan.Node) inspect.PeerAction {
	ban := onPeer(n, []string{"for", "reason"}, func(ctx context.Context, id identity.NodeID, v url.Values) error {
		d, err := time.ParseDuration(v.Get("for"))
		if err != nil {
			return err
		}
		return n.Peers().Ban(ctx, id, d, v.Get("reason"))
	})
	return inspect.PeerAction{Params: ban.Params, Do: func(ctx context.Context, peer string, v url.Values) (any, error) {
		answer, err := ban.Do(ctx, peer, v)
		p, ok := answer.(api.Peer)
		if err != nil || !ok {
			return answer, err
		}
		if id, err := identity.ParseNodeID(p.NodeID); err == nil {
			p.BannedUntil, _, _ = n.Peers().Banned(id)
		}
		return p, nil
	}}
}

// peerAnswer returns the answer to an action on a peer: who it is.
func peerAnswer(n *gamelan.Node, id identity.NodeID) api.Peer {
	answer := api.Peer{NodeID: id.String()}
	if p, ok := n.Peers().Get(id); ok {
		answer.PublicKey = p.Key.String()
	}
	return answer
}

// onPeer returns an action that calls do. It finds the peer as for a message, and answers
// with its ids.
func onPeer(n *gamelan.Node, params []string, do func(context.Context, identity.NodeID, url.Values) error) inspect.PeerAction {
	return inspect.PeerAction{Params: params, Do: func(ctx context.Context, peer string, v url.Values) (any, error) {
		id, err := nodeSender{n}.find(ctx, peer)
		if err != nil {
			return nil, notFound(err, api.UnknownHint)
		}
		answer := peerAnswer(n, id) // do may forget it
		if err := do(ctx, id, v); err != nil {
			return nil, errors.New(failure.Text(err))
		}
		return answer, nil
	}}
}
