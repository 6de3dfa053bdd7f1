package safpart

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// HintStored is the hint for messages that could not be deleted.
const HintStored = "/v1/saf shows what the node stores"

// Verbs returns the verbs of the part. For a node without the DHT f is nil, and they say so.
func (f *Saf) Verbs() map[string]map[string]inspect.Verb {
	return map[string]map[string]inspect.Verb{"saf": {
		"fetch": {Params: []string{"peers"}, Do: f.fetchVerb},
		"purge": {Params: []string{"to", "all"}, Do: f.purgeVerb},
	}}
}

// FetchFrom asks peers for the messages that they store for this node; without peers the actor
// client chooses them. It returns when each had nothing new in the end or was given up. Without
// the DHT f is nil, and it fails with [actors.ErrNoDHT].
func (f *Saf) FetchFrom(ctx context.Context, peers ...identity.NodeID) (dht.Fetched, error) {
	if f == nil {
		return dht.Fetched{}, actors.ErrNoDHT
	}
	token := f.trunk.NewID()
	r, err := trunk.AskAgain[Fetched](ctx, &f.Host, f.trunk.System(), f.Client, Fetch{Token: token, Peers: peers})
	if err != nil {
		f.trunk.System().Root.Send(f.Client, GiveUp{Token: token})
	}
	return r.Fetched, cmp.Or(err, r.Err)
}

// fetchVerb asks peers, separated by commas, for the messages that they store for this node. It
// connects to them first.
func (f *Saf) fetchVerb(ctx context.Context, v url.Values, _ []byte) (any, error) {
	var peers []identity.NodeID
	if named := v.Get("peers"); f != nil && named != "" {
		for text := range strings.SplitSeq(named, ",") {
			ref, err := f.Host.Connect(ctx, text, true)
			if err != nil {
				return nil, err
			}
			peers = append(peers, ref.Peer)
		}
	}
	r, err := f.FetchFrom(ctx, peers...)
	if err != nil {
		return nil, trunk.VerbError(err, inspect.HintConnect)
	}
	a := models.StoreForwardFetched{Delivered: r.Delivered(), Complete: r.Complete(), Peers: []models.StoreForwardResult{}}
	for i := range r.Servers {
		a.Peers = append(a.Peers, result(&r.Servers[i]))
	}
	return a, nil
}

// Delete deletes what the node stores for one node, or, with m.All, for everybody. It returns how
// much that was, when it is deleted on the disk. A client of the network stores nothing. f may be
// nil as for FetchFrom.
func (f *Saf) Delete(ctx context.Context, m Purge) (models.StoreForwardPurged, error) {
	switch {
	case f == nil:
		return models.StoreForwardPurged{}, actors.ErrNoDHT
	case f.Keeper == nil:
		return models.StoreForwardPurged{}, nil
	}
	r, err := trunk.AskAgain[Purged](ctx, &f.Host, f.trunk.System(), f.Keeper, m)
	if err = cmp.Or(err, r.Err); err != nil {
		return models.StoreForwardPurged{}, err
	}
	return models.StoreForwardPurged{Messages: r.Messages, Bytes: r.Bytes}, nil
}

// purgeVerb deletes the messages that the node stores for one receiver, or for all.
func (f *Saf) purgeVerb(ctx context.Context, v url.Values, _ []byte) (any, error) {
	to, all := v.Get("to"), v.Get("all") == "true"
	if (to == "") != all {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "no receiver is named", Hint: "give either to=KEY or all=true"}
	}
	m := Purge{All: all}
	if !all {
		var err error
		if m.To, err = f.receiver(to); err != nil {
			return nil, err
		}
	}
	p, err := f.Delete(ctx, m)
	if err != nil {
		return nil, trunk.VerbError(err, HintStored)
	}
	return p, nil
}

// receiver returns the node id of a receiver, which need not be known. Of KEY::ADDRESS only the
// key matters. f may be nil as for FetchFrom.
func (f *Saf) receiver(text string) (identity.NodeID, error) {
	if f == nil {
		return identity.NodeID{}, trunk.VerbError(actors.ErrNoDHT, "")
	}
	if key, err := identity.ParsePublicKey(text); err == nil {
		return key.NodeID(), nil
	}
	if id, err := identity.ParseNodeID(text); err == nil {
		return id, nil
	}
	p, err := peerstore.ParseSeed(text)
	if err == nil {
		return p.ID, nil
	}
	id := identity.NodeID{}
	if !strings.Contains(text, "::") {
		id, err = f.trunk.FindPeer(text)
	}
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		return id, e
	}
	if err != nil {
		err = &inspect.Error{Code: inspect.CodeUnknownPeer, Message: words.Sentence(err), Hint: "give the public key of the receiver"}
	}
	return id, err
}
