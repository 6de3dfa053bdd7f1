package gamelan

import (
	"context"
	"maps"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
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
	id, err := n.Peers().Given(ctx, text, keep)
	if err != nil {
		return nil, actors.NotFound(err, inspect.HintAdd)
	}
	ref, err := n.Dial(ctx, id)
	if err != nil {
		return nil, actors.NotConnected(err, text)
	}
	return ref, nil
}
