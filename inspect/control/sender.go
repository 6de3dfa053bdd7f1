package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// sender sends the API's messages through a node.
type sender struct{ node *gamelan.Node }

// Resolve finds the peer. If it is given as a public key that is not known, Resolve
// searches for its holder.
func (s sender) Resolve(ctx context.Context, peer string) (string, error) {
	id, err := s.node.Peers().Given(ctx, peer, false)
	if err == nil {
		return id.String(), nil
	}
	key, notKey := identity.ParsePublicKey(peer)
	if notKey != nil || errors.Is(err, actors.ErrSelf) || !s.node.DHT().Enabled() {
		if several, ok := errors.AsType[*inspect.Error](err); ok {
			return "", several
		}
		return "", errors.New(words.Sentence(err))
	}
	p, err := s.node.DHT().Discover(ctx, key)
	if err != nil {
		return "", discoverypart.SearchError(key, err)
	}
	return p.ID.String(), nil
}

// Send gives one message to the node.
func (s sender) Send(ctx context.Context, m inspect.SendRequest) (inspect.Pending, error) {
	id, err := identity.ParseNodeID(m.Peer)
	if err != nil {
		return nil, err
	}
	var opts []gamelan.SendOption
	if m.Resend {
		opts = append(opts, gamelan.Resend())
	}
	switch m.Outcome {
	case inspect.OutcomeKept:
		opts = append(opts, gamelan.Kept())
	case inspect.OutcomeHandled:
		opts = append(opts, gamelan.Handled())
	}
	if m.Topic != "" {
		opts = append(opts, gamelan.To(m.Topic))
	}
	if m.Until > 0 {
		opts = append(opts, gamelan.Until(m.Until))
	}
	p, err := s.node.Submit(ctx, id, m.Body, opts...)
	if err != nil {
		return nil, errors.New(words.Sentence(err))
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
	o := trunk.DescribeOutcome(p.Pending.Wait(ctx))
	conn, connected := p.node.Connection(p.peer)
	full := connected && conn.Accepts(protocol.FullMarker)
	if o.Reason == protocol.Expired.String() && (o.Detail == "" || full) {
		var why *codes.Code
		if o.Detail, why = waitedFor(p.node, p.peer); why != nil {
			o.Code = why.Name
		}
	}
	return o
}

// answerTimeout is how long an actor of a healthy node may take to answer.
const answerTimeout = 2 * time.Second

// waitedFor returns what a message to the peer has waited for, in words that follow "expired", and the code of
// why, or nil.
func waitedFor(n *gamelan.Node, peer identity.NodeID) (string, *codes.Code) {
	conn, connected := n.Connection(peer)
	switch {
	case connected && conn.Accepts(protocol.FullMarker):
		return "the peer is connected, and cannot keep messages now: its inbox cannot be written, as when its disk is full; " + codes.PeerFull.Step, codes.PeerFull
	case connected:
		return "the peer is connected, and has not confirmed it in time", nil
	}
	const silent = "being dialled at %s, without an answer in time"
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	seen := n.Inspection()
	dials, _ := seen.Dialling(ctx)
	for _, d := range dials {
		if d.Peer == peer && d.Addr != nil {
			return fmt.Sprintf(silent, d.Addr), codes.DialNoAnswer
		}
	}
	attempts := seen.Peer(peer).Attempts
	if len(attempts) == 0 {
		return "the peer was not connected in time", nil
	}
	switch last := attempts[len(attempts)-1]; {
	case errors.Is(last.Err, context.Canceled): // the dial ended with the message
		return fmt.Sprintf(silent, last.Addr), codes.DialNoAnswer
	case last.Err != nil:
		return "not connected; the last dial failed: " + words.Sentence(last.Err), trunk.CauseOf(last.Err)
	}
	return "the connection was lost, and there is no other yet", nil
}
