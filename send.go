package gamelan

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Send sends body to a neighbour and waits for the outcome. It waits for credit
// first when too much is on its way to that peer: a peer that takes nothing
// blocks its senders and nothing else. An error means that the message was not
// accepted; after that the outcome says all. If ctx ends before the outcome,
// a message not yet written has failed (expired) and one that was is in doubt.
// Body, of at most 8 MiB, must not be changed until Send returns, nor
// afterwards if the outcome is in doubt: it may still be on its way. A peer that
// takes no plain messages of this node refuses them: [actors.ErrNotTaken] in the
// outcome, with what to change.
func (n *Node) Send(ctx context.Context, peer identity.NodeID, body []byte, opts ...SendOption) (Outcome, error) {
	pending, err := n.Submit(ctx, peer, body, opts...)
	if err != nil {
		return Outcome{}, err
	}
	return pending.Wait(ctx), nil
}

// Submit is Send without waiting for the outcome: it returns as soon as the
// message is accepted, which takes as long as there is no credit. Messages of
// one caller to one peer keep their order. Body must not be changed before the
// outcome is known, nor afterwards if that is in doubt.
func (n *Node) Submit(ctx context.Context, peer identity.NodeID, body []byte, opts ...SendOption) (*Pending[Outcome], error) {
	if n.stopping() {
		return nil, ErrClosed
	}
	p := newPending[Outcome](n)
	p.peer, p.result = peer, Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: ErrClosed}
	serial, err := n.trunk.Plain().Send(ctx, sendBody(0, peer, body, opts), p.settle)
	if err != nil {
		return nil, fmt.Errorf("gamelan: message to %s not accepted: %w", peer, err)
	}
	p.serial = serial
	return p, nil
}

// SendFrom sends a message on behalf of an actor, for use inside Receive: it
// never waits, and the actor hears [Sent] with this id. Without credit that
// is Failed(overloaded) at once, so keep count of what is under way.
func (n *Node) SendFrom(c actor.Context, id uint64, peer identity.NodeID, body []byte, opts ...SendOption) {
	n.trunk.Plain().SendFrom(c, sendBody(id, peer, body, opts))
}

func sendBody(id uint64, peer identity.NodeID, body []byte, opts []SendOption) actors.SendBody {
	m := actors.SendBody{ID: id, Peer: peer, Body: body}
	if len(opts) > 0 {
		var o sendOptions
		for _, opt := range opts {
			opt(&o)
		}
		m.Resend = o.resend
	}
	return m
}
