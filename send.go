package gamelan

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/outcomepart"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Send sends body to a neighbour and waits for the outcome. It first waits for credit if
// too many bytes are under way to that peer, so a peer that takes nothing blocks only its
// senders. An error means that the message was not accepted: ctx has ended while it waited
// for credit, or the node is closed. An accepted message has only an outcome, and one that has failed is no error: look
// at the outcome, or at its AsError. If ctx ends before the outcome, a message that was not written has failed
// (expired), and a message that was written is in doubt.
//
// Body has at most 8 MiB, and with an id 120 bytes less: see [Handled]. It must not be changed until Send returns, and if the outcome is
// in doubt it must not be changed afterwards either, because the node may still be writing
// it. If the peer refuses plain messages of this node, the outcome has
// [ErrNotTaken], which says what to change.
//
// A node can send to itself. That takes no connection, and the message has an id.
//
// A message fails only after two dials in a row have failed. So both nodes may show two
// attempts for one Send. The outcome has the error of the second.
func (n *Node) Send(ctx context.Context, peer identity.NodeID, body []byte, opts ...SendOption) (Outcome, error) {
	if o := sending(opts); !o.plain() || peer == n.ID() {
		p, err := n.submit(ctx, peer, body, &o)
		if err != nil {
			return Outcome{}, err
		}
		return p.Wait(ctx), nil
	}
	if n.e.Stopping() {
		return Outcome{}, ErrClosed
	}
	w := n.waits.get()
	serial, err := n.e.Trunk.Plain().Send(ctx, messengers.SendBody{Peer: peer, Body: body}, w.settle)
	if err != nil {
		n.waits.put(w)
		return Outcome{}, notAccepted(peer, err)
	}
	return n.waits.wait(ctx, w, peer, serial), nil
}

// Submit sends body as Send does, but returns as soon as the message is accepted. It waits
// only for credit. Messages of one caller to one peer keep their order, within what [Handled] says. Body must not be
// changed before the outcome is final, nor afterwards if the outcome is in doubt.
//
//	pending, err := node.Submit(ctx, peer, body)
//	if err != nil {
//		return err // not accepted
//	}
//	// … others may be sent meanwhile …
//	return pending.Wait(ctx).AsError() // nil: confirmed
func (n *Node) Submit(ctx context.Context, peer identity.NodeID, body []byte, opts ...SendOption) (*Pending[Outcome], error) {
	o := sending(opts)
	return n.submit(ctx, peer, body, &o)
}

func (n *Node) submit(ctx context.Context, peer identity.NodeID, body []byte, o *sendOptions) (*Pending[Outcome], error) {
	switch {
	case o.err != nil:
		return nil, notAccepted(peer, o.err)
	case n.e.Stopping():
		return nil, ErrClosed
	}
	p := newPending[Outcome](n)
	p.peer, p.result = peer, nodeEnded
	var err error
	if o.plain() && peer != n.ID() {
		p.serial, err = n.e.Trunk.Plain().Send(ctx, messengers.SendBody{Peer: peer, Body: body}, p.settle)
	} else {
		p.part = true
		p.serial, err = n.e.Outcomes.Submit(ctx, n.submission(peer, body, o), p.settle)
	}
	if err != nil {
		return nil, notAccepted(peer, err)
	}
	return p, nil
}

func notAccepted(peer identity.NodeID, err error) error {
	return fmt.Errorf("gamelan: message to %s not accepted: %w", peer, err)
}

// SendFrom sends a message on behalf of an actor, for use inside Receive. It never waits.
// The actor receives the outcome as [Sent] with this id. Without credit the outcome is
// Failed(overloaded) at once, so an actor should limit its messages under way.
func (n *Node) SendFrom(c actor.Context, id uint64, peer identity.NodeID, body []byte, opts ...SendOption) {
	o := sending(opts)
	if o.plain() && peer != n.ID() {
		n.e.Trunk.Plain().SendFrom(c, messengers.SendBody{ID: id, Peer: peer, Body: body})
		return
	}
	root, to := c.ActorSystem().Root, c.Self()
	if o.err != nil {
		root.Send(to, Sent{ID: id, Peer: peer, Outcome: Outcome{Kind: protocol.Failed, Reason: protocol.Refused, Err: o.err}})
		return
	}
	n.e.Outcomes.TrySubmit(n.submission(peer, body, &o), func(out Outcome) { root.Send(to, Sent{ID: id, Peer: peer, Outcome: out}) })
}

func sending(opts []SendOption) sendOptions {
	if len(opts) == 0 {
		return sendOptions{} // without the allocation below
	}
	var o sendOptions
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func (n *Node) submission(peer identity.NodeID, body []byte, o *sendOptions) outcomepart.Submission {
	if o.topic != "" && o.want == outcomes.Read {
		o.want = outcomes.Handled
	}
	return outcomepart.Submission{
		Peer: peer, Body: body, Want: o.want, Topic: o.topic, Until: o.until,
		Resend: o.resend && o.want == outcomes.Read, Once: !o.resend && o.want == outcomes.Read && peer != n.ID(),
	}
}

// nodeEnded is the outcome of a message whose node has ended before.
var nodeEnded = Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: ErrClosed}
