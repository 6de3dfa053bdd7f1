package gamelan

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// Verbs returns the actions of the node's parts by section and name, for the field Verbs of
// [inspect.Actions]. The maps are the caller's. A node without the DHT has its verbs, which say so.
func (i *Inspection) Verbs() map[string]map[string]inspect.Verb {
	all := make(map[string]map[string]inspect.Verb)
	for _, p := range i.n.parts {
		for section, verbs := range p.Verbs {
			all[section] = maps.Clone(verbs)
		}
	}
	return all
}

// host returns what the verbs of the parts use of the node.
func (n *Node) host() actors.Host {
	return actors.Host{
		Again:   func(ctx context.Context, f func() error) error { return again(ctx, n, f) },
		Connect: n.connectTo, Peer: (&Inspection{n: n}).peer,
	}
}

// connectTo is Connect of [actors.Host].
func (n *Node) connectTo(ctx context.Context, text string, keep bool) (*Connection, error) {
	find, hint := func(context.Context, string) (identity.NodeID, error) { return n.Peers().Find(text) }, inspect.HintDials+text
	if strings.Contains(text, "::") {
		find, hint = n.Peers().Offer, inspect.HintGiven
		if keep {
			find = n.Peers().AddAt
		}
	}
	id, err := find(ctx, text)
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		return nil, e
	}
	if errors.Is(err, ErrSelf) {
		err = ErrSelf // without what was being done
	}
	if err != nil {
		return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: words.Sentence(err), Hint: inspect.HintAdd}
	}
	ref, err := n.Dial(ctx, id)
	if err != nil {
		return nil, &inspect.Error{Code: inspect.CodeFailed, Message: words.Sentence(err), Hint: hint}
	}
	return ref, nil
}
