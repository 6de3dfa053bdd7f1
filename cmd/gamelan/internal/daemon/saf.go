package daemon

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// storeForwardActions returns the API's actions on stored messages, by verb.
func storeForwardActions(n *gamelan.Node) map[string]inspect.NetworkAction {
	return map[string]inspect.NetworkAction{
		"fetch": {Params: []string{"peers"}, Do: func(ctx context.Context, v url.Values) (any, error) { return fetchStored(ctx, n, v.Get("peers")) }},
		"purge": {Params: []string{"to", "all"}, Do: func(ctx context.Context, v url.Values) (any, error) { return purgeStored(ctx, n, v) }},
	}
}

// fetchStored asks peers, separated by commas, for the messages that they store for this
// node. It connects to them first. Without peers the node chooses.
func fetchStored(ctx context.Context, n *gamelan.Node, named string) (any, error) {
	var peers []identity.NodeID
	if named != "" {
		for text := range strings.SplitSeq(named, ",") {
			found, err := nodeSender{n}.findOr(ctx, text, n.Peers().AddAt)
			if err != nil {
				return nil, notFound(err, api.UnknownHint)
			}
			id, err := identity.ParseNodeID(found)
			if err != nil {
				return nil, err
			}
			if _, err := n.Dial(ctx, id); err != nil {
				return nil, dialFailed(text, err)
			}
			peers = append(peers, id)
		}
	}
	f, err := n.DHT().FetchStored(ctx, peers...)
	if err != nil {
		return nil, networkError(err, api.ConnectHint)
	}
	v := models.StoreForwardFetched{Delivered: f.Delivered(), Complete: f.Complete(), Peers: []models.StoreForwardResult{}}
	for _, r := range f.Servers {
		v.Peers = append(v.Peers, resultOf(&r))
	}
	return v, nil
}

func resultOf(r *saf.Result) models.StoreForwardResult {
	v := models.StoreForwardResult{
		NodeID: r.Server.String(), Answers: r.Answers, Messages: r.Messages, Delivered: r.Delivered, Duplicates: r.Duplicates, Refused: r.Refused, Skipped: r.Skipped,
		Ahead: r.Ahead,
	}
	if r.Err != nil {
		v.Error = failure.Text(r.Err)
	}
	return v
}

// purgeStored deletes the messages that the node stores for one receiver, or for all.
func purgeStored(ctx context.Context, n *gamelan.Node, v url.Values) (any, error) {
	to, all := v.Get("to"), v.Get("all") == "true"
	if (to == "") != all {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "no receiver is named", Hint: "give either to=KEY or all=true"}
	}
	var id identity.NodeID
	if !all {
		var err error
		if id, err = receiverID(ctx, n, to); err != nil {
			return nil, err
		}
	}
	purge := n.DHT().PurgeAllStored
	if !all {
		purge = func(ctx context.Context) (models.StoreForwardPurged, error) { return n.DHT().PurgeStored(ctx, id) }
	}
	p, err := purge(ctx)
	if err != nil {
		return nil, networkError(err, `"gamelan saf" shows what the node stores`)
	}
	return p, nil
}

// receiverID returns the node id of a receiver, which need not be known.
func receiverID(ctx context.Context, n *gamelan.Node, text string) (id identity.NodeID, err error) {
	if key, err := identity.ParsePublicKey(text); err == nil {
		return key.NodeID(), nil
	}
	if id, err = identity.ParseNodeID(text); err == nil {
		return id, nil
	}
	if p, err := peerstore.ParseSeed(text); err == nil { // its address is of no use here
		return p.ID, nil
	}
	found, err := nodeSender{n}.find(ctx, text)
	if err != nil {
		return id, notFound(err, "give the public key of the receiver")
	}
	if id, err = identity.ParseNodeID(found); err != nil {
		return id, fmt.Errorf("%q is no node id", found)
	}
	return id, nil
}
