package gamelan

import (
	"context"
	"fmt"
	"io"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Start builds and starts a node. It returns when the node is ready, or an error that says
// why the node cannot start. ctx bounds the start, not the life of the node. If ctx ends
// first, Start returns within a second or two, and the error names the actors that have not
// finished handling Started; one of yours may block there. The node has connections when all of
// them have handled it, so that none may wait for one there.
func Start(ctx context.Context, cfg Config, opts ...Option) (*Node, error) {
	var o options
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if cfg.DataDir != "" {
		if err := kv.Available(cfg.DataDir); err != nil { // before an identity is made there
			return nil, fmt.Errorf("gamelan: %w", err)
		}
	}
	s, err := cfg.Settle()
	if err != nil {
		return nil, err
	}
	n := &Node{e: assemble.New(), events: newEvents(), stops: stops{list: o.stops, ended: make(chan struct{})}}
	n.waits.withdraw = func(peer identity.NodeID, serial uint64) { n.e.Trunk.Plain().Withdraw(peer, serial) }
	if err := n.e.Start(ctx, s, n.options(&o)); err != nil {
		return nil, err
	}
	return n, nil
}

// options returns the options for a node, with what it needs of this package.
func (n *Node) options(o *options) *assemble.Options {
	all := &o.Options
	for _, r := range o.registered {
		r.New = func() actor.Actor { return r.new(n) }
		all.Registered = append(all.Registered, r.Register)
	}
	for _, make := range o.parts {
		all.Parts = append(all.Parts, func() (actors.Part, error) { return make(n) })
	}
	for _, m := range o.messages {
		all.Messages = append(all.Messages, func(in *inboxpart.Inbox) users.Register { return m.caller(n, in) })
	}
	all.Hooks = assemble.Hooks{
		Version: Version, Host: n.host(), Publish: n.publish, AddSeed: n.Peers().Add,
		Ended: func() {
			n.loops.Finish()
			for _, s := range n.called {
				s.Discard()
			}
		},
		Client:  func(peer identity.NodeID, service protocol.ID) *rpc.Client { return n.RPC().Client(peer, service) },
		Export:  func(w io.Writer) (int, error) { return n.Peers().Export(w) },
		Closing: n.events.Close, Closed: n.waits.close,
	}
	return all
}
