package discoverypart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// HintSearch is the hint for a key that nobody knows.
const HintSearch = "check the key, and whether the node has found its network; if you know an address, add the peer with it"

// Verbs returns the verbs of the part. For a node without the DHT d is nil, and they say so.
func (d *Discovery) Verbs() map[string]map[string]inspect.Verb {
	return map[string]map[string]inspect.Verb{"network": {
		"join":     {Do: d.joinVerb},
		"discover": {Params: []string{"key", "for"}, Do: d.discoverVerb},
		"sync":     {Do: d.syncVerb},
	}}
}

// Announce announces this node to the nodes closest to it. It returns when each of them has the
// announcement or was given up. Without the DHT d is nil, and it fails with [actors.ErrNoDHT].
func (d *Discovery) Announce(ctx context.Context) (dht.Report, error) {
	if d == nil {
		return dht.Report{}, actors.ErrNoDHT
	}
	r, err := trunk.AskAgain[JoinSent](ctx, &d.Host, d.trunk.System(), d.Join, SendJoin{})
	return r.Report, cmp.Or(err, r.Err)
}

func (d *Discovery) joinVerb(ctx context.Context, _ url.Values, _ []byte) (any, error) {
	r, err := d.Announce(ctx)
	if err != nil && r.Reason == 0 && len(r.Copies) == 0 {
		return nil, trunk.VerbError(err, inspect.HintConnect)
	}
	return d.trunk.Report(r), nil // it says why nobody has the announcement
}

// Find searches for the holder of a key until it is in the peer store, and returns its record. It
// takes at most limit, and Settings.Search. d may be nil as for Announce.
func (d *Discovery) Find(ctx context.Context, key identity.PublicKey, limit time.Duration) (peerstore.Peer, error) {
	if d == nil {
		return peerstore.Peer{}, actors.ErrNoDHT
	}
	until := d.trunk.Now().Add(min(d.Settings.Search, limit))
	r, err := trunk.AskAgain[trunk.PeerDiscovered](ctx, &d.Host, d.trunk.System(), d.Search, trunk.DiscoverPeer{Key: key, Until: until})
	if err = cmp.Or(err, r.Err); err != nil {
		return peerstore.Peer{}, err
	}
	if p, ok := d.trunk.Store().ByKey(key); ok {
		return p, nil
	}
	if ref, ok := d.trunk.Connection(key.NodeID()); ok { // the store has no room for the peer
		return peerstore.Peer{ID: ref.Peer, Key: ref.Key, Features: ref.Features, UserAgent: ref.UserAgent, Protocols: ref.Protocols}, nil
	}
	return peerstore.Peer{}, actors.ErrNotDiscovered
}

// discoverVerb searches for the holder of a key, and answers with its record.
func (d *Discovery) discoverVerb(ctx context.Context, v url.Values, _ []byte) (any, error) {
	key, err := identity.ParsePublicKey(v.Get("key"))
	if err != nil {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("%q is no public key", v.Get("key")), Hint: "give 64 hexadecimal digits"}
	}
	limit := time.Duration(1<<63 - 1)
	if text := v.Get("for"); text != "" {
		if limit, err = time.ParseDuration(text); err != nil || limit <= 0 {
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("for cannot be %q", text), Hint: "give a duration such as 30s"}
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if d != nil && key == d.trunk.Secret().PublicKey() {
		return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: words.Sentence(actors.ErrSelf), Hint: inspect.HintAdd}
	}
	p, err := d.Find(ctx, key, limit)
	if err != nil {
		if p, ok := d.found(key); ok && errors.Is(asNotFound(err), discovery.ErrNotFound) {
			return nil, d.notReached(p)
		}
		return nil, SearchError(key, err)
	}
	return d.Host.Peer(p), nil
}

// found returns the record of the holder of a key, if it has an address.
func (d *Discovery) found(key identity.PublicKey) (p peerstore.Peer, ok bool) {
	if d == nil {
		return p, false
	}
	p, ok = d.trunk.Store().ByKey(key)
	return p, ok && len(p.Addresses) > 0
}

// notReached returns the error of the API for a peer that a search has found, and that cannot be reached
// where it was found.
func (d *Discovery) notReached(p peerstore.Peer) error {
	last := slices.MaxFunc(p.Addresses, func(x, y peerstore.Address) int { return x.LastAttempted.Compare(y.LastAttempted) })
	why := "it has not answered the search"
	if err := d.trunk.Dialable(p); err != nil {
		why = words.Cause(err)
	} else if last.LastFailure != "" {
		why = strings.TrimPrefix(words.WithoutPackage(last.LastFailure), "dial "+last.Addr.String()+": ")
	}
	return &inspect.Error{
		Code: inspect.CodeUnknownPeer, Message: fmt.Sprintf("the holder of %s was found at %s, and not reached: %s", p.Key, last.Addr, why),
		Hint: inspect.HintDials + p.Key.String(),
	}
}

// asNotFound returns [discovery.ErrNotFound] for a search whose time is over.
func asNotFound(err error) error {
	if errors.Is(err, actors.ErrNotDiscovered) || errors.Is(err, context.DeadlineExceeded) {
		return discovery.ErrNotFound
	}
	return err
}

// SearchError returns the error of the API for a search for the holder of a key that failed with err.
func SearchError(key identity.PublicKey, err error) error {
	hint := HintSearch
	err = asNotFound(err)
	switch {
	case errors.Is(err, actors.ErrNoDHT):
		return trunk.VerbError(err, "")
	case errors.Is(err, discovery.ErrNobodyToAsk):
		hint = inspect.HintConnect
	case errors.Is(err, discovery.ErrBannedPeer):
		hint = inspect.HintUnban + key.String()
	}
	why, _, _ := strings.Cut(words.Cause(err), "; ")
	return &inspect.Error{Code: inspect.CodeUnknownPeer, Message: fmt.Sprintf("the holder of %s was not found: %s", key, why), Hint: hint}
}

// Exchange asks connected nodes and seeds now for the peers that they know, and returns what each
// of them gave. d may be nil as for Announce.
func (d *Discovery) Exchange(ctx context.Context) (dht.Synced, error) {
	if d == nil {
		return dht.Synced{}, actors.ErrNoDHT
	}
	r, err := trunk.AskAgain[Synced](ctx, &d.Host, d.trunk.System(), d.Netsync, SyncNow{})
	return r.Synced, cmp.Or(err, r.Err)
}

// syncVerb asks nodes for the peers that they know, and answers with what each gave.
func (d *Discovery) syncVerb(ctx context.Context, _ url.Values, _ []byte) (any, error) {
	r, err := d.Exchange(ctx)
	switch {
	case errors.Is(err, ErrNobodyToAsk):
		return nil, nobodyToAsk(d.section().Seeds)
	case err != nil:
		return nil, trunk.VerbError(err, inspect.HintConnect)
	}
	seeds := map[string]bool{}
	for _, s := range d.section().Seeds {
		seeds[s.NodeID] = true
	}
	v := models.Synced{
		Asked: r.Result.Asked, Answered: r.Result.Answered, New: r.Result.New, AlreadyKnown: r.Result.Known, Skipped: r.Result.Skipped,
		Nodes: []models.SyncedNode{},
	}
	for _, x := range r.Nodes {
		id := x.Peer.String()
		v.Nodes = append(v.Nodes, models.SyncedNode{NodeID: id, Seed: seeds[id], Answered: x.Answered, Peers: x.Peers, New: x.New, Error: words.Sentence(x.Err)})
	}
	return v, nil
}

// seedsNamed is how many seeds an error names.
const seedsNamed = 5

// nobodyToAsk returns the error of a round without a node to ask. If the reason is that no seed
// has answered, the error says how each of them has failed.
func nobodyToAsk(seeds []models.NetworkSeed) error {
	var failed []string
	answered := false
	for _, s := range seeds {
		answered = answered || s.Answered
		if s.Error != "" && len(failed) < seedsNamed {
			text, _, _ := strings.Cut(strings.TrimPrefix(s.Error, "dial peer "+s.NodeID+": "), "; ")
			failed = append(failed, inspect.ShortName(s.NodeID)+": "+text)
		}
	}
	if answered || len(failed) == 0 {
		return &inspect.Error{Code: inspect.CodeFailed, Message: "no other node is known that could be asked for peers", Hint: inspect.HintConnect}
	}
	return &inspect.Error{
		Code: inspect.CodeFailed, Message: fmt.Sprintf("0 of %s answered: %s", inspect.Count(uint64(len(seeds)), "seed"), strings.Join(failed, ", ")),
		Hint: inspect.HintSeed + seeds[0].NodeID,
	}
}
