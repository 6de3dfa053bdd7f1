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
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// nodeSender sends the API's messages through a node.
type nodeSender struct{ node *gamelan.Node }

// Resolve finds the peer. If it is given as a public key that is not known, Resolve
// searches for its holder.
func (s nodeSender) Resolve(ctx context.Context, peer string) (string, error) {
	id, err := s.findOr(ctx, peer, s.node.Peers().Offer)
	if err == nil {
		return id.String(), nil
	}
	if _, notKey := identity.ParsePublicKey(peer); notKey != nil || errors.Is(err, actors.ErrSelf) || !s.node.DHT().Enabled() {
		if several, ok := errors.AsType[*inspect.Error](err); ok {
			return "", several
		}
		return "", errors.New(failure.Text(err))
	}
	query := url.Values{"key": {peer}}
	if end, ok := ctx.Deadline(); ok {
		query.Set("for", max(time.Until(end), 1).String())
	}
	v, err := s.node.Inspection().Verbs()["network"]["discover"].Do(ctx, query, nil)
	if p, ok := v.(models.Peer); ok && err == nil {
		return p.NodeID, nil
	}
	return "", err
}

// find returns the node id of a peer as people write it: a node id, a public key, or the
// beginning of one of them, or KEY::ADDRESS, which it adds to the known peers.
func (s nodeSender) find(ctx context.Context, peer string) (identity.NodeID, error) {
	return s.findOr(ctx, peer, s.node.Peers().AddAt)
}

// findOr is find that adds a peer given as KEY::ADDRESS with the function.
func (s nodeSender) findOr(ctx context.Context, peer string, add func(context.Context, string) (identity.NodeID, error)) (identity.NodeID, error) {
	if !strings.Contains(peer, "::") {
		return s.node.Peers().Find(peer)
	}
	id, err := add(ctx, peer)
	if errors.Is(err, actors.ErrSelf) {
		err = actors.ErrSelf // without what was being done
	}
	return id, err
}

// notFound returns the API's error for a peer that find has not found.
func notFound(err error, hint string) error {
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		return e
	}
	return &inspect.Error{Code: inspect.CodeUnknownPeer, Message: failure.Text(err), Hint: hint}
}

// Send gives one message to the node.
func (s nodeSender) Send(ctx context.Context, m inspect.SendRequest) (inspect.Pending, error) {
	id, err := identity.ParseNodeID(m.Peer)
	if err != nil {
		return nil, err
	}
	var opts []gamelan.SendOption
	if m.Resend {
		opts = append(opts, gamelan.Resend())
	}
	p, err := s.node.Submit(ctx, id, m.Body, opts...)
	if err != nil {
		return nil, errors.New(failure.Text(err))
	}
	return pending{p, s.node, id}, nil
}

// pending returns outcomes in the form of the API.
type pending struct {
	*gamelan.Pending[gamelan.Outcome]
	node *gamelan.Node
	peer identity.NodeID
}

// Wait returns the outcome. That of a message whose time was over says what it waited for.
func (p pending) Wait(ctx context.Context) models.Outcome {
	o := actors.DescribeOutcome(p.Pending.Wait(ctx))
	if o.Reason == protocol.Expired.String() && o.Detail == "" {
		o.Detail = waitedFor(p.node, p.peer)
	}
	return o
}

// waitedFor returns what a message to the peer has waited for, in words that follow "expired".
func waitedFor(n *gamelan.Node, peer identity.NodeID) string {
	if _, connected := n.Connection(peer); connected {
		return "the peer is connected, and has not confirmed it in time"
	}
	const silent = "being dialled at %s, without an answer in time"
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	seen := n.Inspection()
	dials, _ := seen.Dialling(ctx)
	for _, d := range dials {
		if d.Peer == peer && d.Addr != nil {
			return fmt.Sprintf(silent, d.Addr)
		}
	}
	attempts := seen.Peer(peer).Attempts
	if len(attempts) == 0 {
		return "the peer was not connected in time"
	}
	switch last := attempts[len(attempts)-1]; {
	case errors.Is(last.Err, context.Canceled): // the dial ended with the message
		return fmt.Sprintf(silent, last.Addr)
	case last.Err != nil:
		return "not connected; the last dial failed: " + failure.Text(last.Err)
	}
	return "the connection was lost, and there is no other yet"
}
