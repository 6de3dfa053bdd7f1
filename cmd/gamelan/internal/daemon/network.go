package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	part "github.com/gamelan-p2p/gamelan/actors/discovery"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/dht/discovery"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// networkActions returns the API's actions by which a node finds other nodes, by verb.
func networkActions(n *gamelan.Node) map[string]inspect.NetworkAction {
	return map[string]inspect.NetworkAction{
		"join":     {Do: func(ctx context.Context, _ url.Values) (any, error) { return join(ctx, n) }},
		"discover": {Params: []string{"key", "for"}, Do: func(ctx context.Context, v url.Values) (any, error) { return discover(ctx, n, v) }},
		"sync":     {Do: func(ctx context.Context, _ url.Values) (any, error) { return syncNow(ctx, n) }},
	}
}

// join announces the node, and answers with the report of the announcement.
func join(ctx context.Context, n *gamelan.Node) (any, error) {
	r, err := n.DHT().Join(ctx)
	if err != nil && r.Reason == 0 && len(r.Copies) == 0 {
		return nil, networkError(err, api.ConnectHint)
	}
	return n.Inspection().Report(r), nil // it says why nobody has the announcement
}

// discover searches for the holder of a key, and answers with its record.
func discover(ctx context.Context, n *gamelan.Node, v url.Values) (any, error) {
	key, err := identity.ParsePublicKey(v.Get("key"))
	if err != nil {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("%q is no public key", v.Get("key")), Hint: "give 64 hexadecimal digits"}
	}
	if text := v.Get("for"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil || limit <= 0 {
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("for cannot be %q", text), Hint: "give a duration such as 30s"}
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	p, err := search(ctx, n, key)
	if err != nil {
		return nil, err
	}
	return recordOf(ctx, n, p), nil
}

// search searches for the holder of a key.
func search(ctx context.Context, n *gamelan.Node, key identity.PublicKey) (peerstore.Peer, error) {
	if key == n.PublicKey() {
		return peerstore.Peer{}, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: "that is this node itself", Hint: api.UnknownHint}
	}
	p, err := n.DHT().Discover(ctx, key)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, gamelan.ErrNoDHT):
		return p, networkError(err, "")
	}
	hint := api.SearchHint
	switch {
	case errors.Is(err, discovery.ErrNobodyToAsk):
		hint = api.ConnectHint
	case errors.Is(err, discovery.ErrBannedPeer):
		hint = "lift the ban with gamelan unban " + key.String()
	}
	return p, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: fmt.Sprintf("the holder of %s was not found: %s", key, searchFailure(err)), Hint: hint}
}

// searchFailure returns in words why a search found nobody.
func searchFailure(err error) string {
	if errors.Is(err, actors.ErrNotDiscovered) || errors.Is(err, context.DeadlineExceeded) {
		err = discovery.ErrNotFound
	}
	text, _, _ := strings.Cut(causeOf(err), "; ")
	return text
}

// causeOf returns the text of an error without the words about what was being done.
func causeOf(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return failure.Text(err)
}

// seedsNamed is how many seeds an error names.
const seedsNamed = 5

// nobodyToAsk returns the API's error for a round without a node to ask. If the reason is
// that no seed has answered, the error says how each of them has failed.
func nobodyToAsk(network *models.Network) error {
	var failed []string
	answered := false
	for _, s := range network.Seeds {
		answered = answered || s.Answered
		if s.Error != "" && len(failed) < seedsNamed {
			text, _, _ := strings.Cut(strings.TrimPrefix(s.Error, "dial peer "+s.NodeID+": "), "; ")
			failed = append(failed, inspect.ShortName(s.NodeID)+": "+text)
		}
	}
	if answered || len(failed) == 0 {
		return &inspect.Error{Code: inspect.CodeFailed, Message: "no other node is known that could be asked for peers", Hint: api.ConnectHint}
	}
	return &inspect.Error{
		Code: inspect.CodeFailed, Message: fmt.Sprintf("0 of %s answered: %s", inspect.Count(uint64(len(network.Seeds)), "seed"), strings.Join(failed, ", ")),
		Hint: fmt.Sprintf("check that a seed runs and can be reached from here; see gamelan why %s", network.Seeds[0].NodeID),
	}
}

// recordOf returns the record of a peer as the section "peers" has it.
func recordOf(ctx context.Context, n *gamelan.Node, p peerstore.Peer) models.Peer {
	v, err := n.Inspection().Sections.Value(ctx, "peers")
	if list, ok := v.(models.PeerList); ok && err == nil {
		if record, ok := list.Find(p.ID.String()); ok {
			return record
		}
	}
	return models.Peer{NodeID: p.ID.String(), PublicKey: p.Key.String(), Protocols: []string{}, Addresses: []models.Address{}}
}

// syncNow asks nodes for the peers that they know, and answers with what each gave.
func syncNow(ctx context.Context, n *gamelan.Node) (any, error) {
	r, err := n.DHT().Sync(ctx)
	network := n.DHT().Network()
	switch {
	case errors.Is(err, part.ErrNobodyToAsk):
		return nil, nobodyToAsk(&network)
	case err != nil:
		return nil, networkError(err, api.ConnectHint)
	}
	seeds := map[string]bool{}
	for _, s := range network.Seeds {
		seeds[s.NodeID] = true
	}
	v := api.Synced{
		Asked: r.Result.Asked, Answered: r.Result.Answered, New: r.Result.New, AlreadyKnown: r.Result.Known, Skipped: r.Result.Skipped,
		Nodes: []api.SyncedNode{},
	}
	for _, x := range r.Nodes {
		node := api.SyncedNode{NodeID: x.Peer.String(), Seed: seeds[x.Peer.String()], Answered: x.Answered, Peers: x.Peers, New: x.New}
		if x.Err != nil {
			node.Error = failure.Text(x.Err)
		}
		v.Nodes = append(v.Nodes, node)
	}
	return v, nil
}

// networkError returns the API's error for an action that did not happen.
func networkError(err error, hint string) error {
	if errors.Is(err, gamelan.ErrNoDHT) {
		return &inspect.Error{Code: inspect.CodeFailed, Message: "this node has no DHT", Hint: api.NoDHTHint}
	}
	text, own, _ := strings.Cut(causeOf(err), "; ")
	if own != "" {
		hint = own
	}
	return &inspect.Error{Code: inspect.CodeFailed, Message: text, Hint: hint}
}
