package gamelan

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// SendTo sends body to a peer and waits for the outcome. It waits for credit
// first when too much is on its way to that peer: a peer that takes nothing
// blocks its senders and nothing else. An error means that the message was not
// accepted; after that the outcome says all. If ctx ends before the outcome,
// a message not yet written has failed (expired) and one that was is in doubt.
// Body, of at most 8 MiB, must not be changed until SendTo returns, nor
// afterwards if the outcome is in doubt: it may still be on its way. A peer that
// takes no plain messages of this node refuses them: [actors.ErrNotTaken] in the
// outcome, with what to change.
func (n *Node) SendTo(ctx context.Context, peer identity.NodeID, body []byte, opts ...SendOption) (Outcome, error) {
	pending, err := n.Enqueue(ctx, peer, body, opts...)
	if err != nil {
		return Outcome{}, err
	}
	return pending.Wait(ctx), nil
}

// Pending is a message that was accepted and has no outcome yet.
type Pending struct {
	n      *Node
	peer   identity.NodeID
	serial uint64
	done   chan Outcome
}

// Enqueue is SendTo without waiting for the outcome: it returns as soon as the
// message is accepted, which takes as long as there is no credit. Messages of
// one caller to one peer keep their order. Body must not be changed before the
// outcome is known, nor afterwards if that is in doubt.
func (n *Node) Enqueue(ctx context.Context, peer identity.NodeID, body []byte, opts ...SendOption) (*Pending, error) {
	var o sendOptions
	for _, opt := range opts {
		opt(&o)
	}
	if n.stopping() {
		return nil, ErrClosed
	}
	p := &Pending{n: n, peer: peer, done: make(chan Outcome, 1)}
	m := actors.SendBody{Peer: peer, Body: body, Resend: o.resend}
	serial, err := n.env.Send(ctx, m, p.settled)
	if err != nil {
		return nil, fmt.Errorf("gamelan: message to %s not accepted: %w", peer, err)
	}
	p.serial = serial
	return p, nil
}

// Wait waits for the outcome. When ctx ends first the message is withdrawn: the
// outcome is then Failed(expired) or InDoubt(expired).
func (p *Pending) Wait(ctx context.Context) Outcome {
	out := p.wait(ctx)
	p.settled(out) // for whoever asks again
	return out
}

func (p *Pending) settled(out Outcome) {
	select {
	case p.done <- out:
	default: // it is there already
	}
}

func (p *Pending) wait(ctx context.Context) Outcome {
	select {
	case out := <-p.done:
		return out
	case <-p.n.closed:
	case <-ctx.Done():
		p.n.env.Withdraw(p.peer, p.serial)
	}
	select {
	case out := <-p.done:
		return out
	case <-p.n.closed:
	}
	select {
	case out := <-p.done:
		return out
	default:
		return Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: ErrClosed}
	}
}

// Done receives the outcome, once. It is for selecting over many messages;
// [Pending.Wait] must not be called then.
func (p *Pending) Done() <-chan Outcome { return p.done }

// SendFrom sends a message on behalf of an actor, for use inside Receive: it
// never waits, and the actor hears [actors.Sent] with m.ID. Without credit that
// is Failed(overloaded) at once, so keep count of what is under way.
func (n *Node) SendFrom(c actor.Context, m actors.SendBody) { n.env.SendFrom(c, m) }
