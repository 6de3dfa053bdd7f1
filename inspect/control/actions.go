package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// addPeer returns the API's function that adds a peer to a node.
func addPeer(n *gamelan.Node) func(context.Context, string) (any, error) {
	return func(ctx context.Context, seed string) (any, error) {
		id, err := n.Peers().AddSeed(ctx, seed)
		if err != nil {
			return nil, errors.New(words.Sentence(err))
		}
		return peerAnswer(n, id), nil
	}
}

// importPeers returns the API's function that imports peers into a node. An error in the
// text is the client's mistake.
func importPeers(n *gamelan.Node) func(context.Context, io.Reader) (any, error) {
	return func(ctx context.Context, r io.Reader) (any, error) {
		done, err := n.Peers().Import(ctx, r)
		if bad := (*peerstore.ImportError)(nil); errors.As(err, &bad) {
			plain := *bad
			plain.Remedy = ""
			_, message, _ := strings.Cut(plain.Error(), peerstore.ErrBadImport.Error()+": ")
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: words.OneLine(message), Hint: bad.Remedy}
		}
		if err != nil {
			return nil, errors.New(words.Sentence(err))
		}
		return models.Imported{Added: done.Added, Merged: done.Merged, Skipped: done.Skipped}, nil
	}
}

// peerActions returns the API's actions on one peer of a node, by verb.
func peerActions(n *gamelan.Node) map[string]inspect.PeerAction {
	return map[string]inspect.PeerAction{
		// A peer given as KEY::ADDRESS is added by being found. It is no seed, as it would be by POST /v1/peers.
		"remember": onPeer(n, nil, func(context.Context, identity.NodeID, url.Values) error { return nil }),
		"forget": onPeer(n, nil, func(ctx context.Context, id identity.NodeID, _ url.Values) error {
			return n.Peers().Forget(ctx, id)
		}),
		"dial": dialPeer(n),
		"disconnect": onPeer(n, nil, func(ctx context.Context, id identity.NodeID, _ url.Values) error {
			if _, ok := n.Connection(id); !ok {
				return errors.New("there is no connection to it")
			}
			return n.Disconnect(ctx, id)
		}),
		"ban": banPeer(n),
		"unban": onPeer(n, nil, func(ctx context.Context, id identity.NodeID, _ url.Values) error {
			if _, _, ok := n.Peers().Banned(id); !ok {
				return errors.New("it is not banned")
			}
			return n.Peers().Unban(ctx, id)
		}),
		"ping": pingPeer(n),
		"why":  whyPeer(n),
	}
}

// banPeer returns the action that bans a peer. It answers with the end of the ban.
func banPeer(n *gamelan.Node) inspect.PeerAction {
	ban := onPeer(n, []string{"for", "reason"}, func(ctx context.Context, id identity.NodeID, v url.Values) error {
		d, err := time.ParseDuration(v.Get("for"))
		if err != nil {
			return err
		}
		return n.Peers().Ban(ctx, id, d, v.Get("reason"))
	})
	return inspect.PeerAction{Params: ban.Params, Do: func(ctx context.Context, peer string, v url.Values) (any, error) {
		answer, err := ban.Do(ctx, peer, v)
		p, ok := answer.(models.PeerDone)
		if err != nil || !ok {
			return answer, err
		}
		if id, err := identity.ParseNodeID(p.NodeID); err == nil {
			p.BannedUntil, _, _ = n.Peers().Banned(id)
		}
		return p, nil
	}}
}

// peerAnswer returns the answer to an action on a peer: who it is.
func peerAnswer(n *gamelan.Node, id identity.NodeID) models.PeerDone {
	answer := models.PeerDone{NodeID: id.String()}
	if p, ok := n.Peers().Get(id); ok {
		answer.PublicKey = p.Key.String()
	}
	return answer
}

// onPeer returns an action that calls do. It finds the peer as for a message, and answers
// with its ids.
func onPeer(n *gamelan.Node, params []string, do func(context.Context, identity.NodeID, url.Values) error) inspect.PeerAction {
	return inspect.PeerAction{Params: params, Do: func(ctx context.Context, peer string, v url.Values) (any, error) {
		id, err := n.Peers().Given(ctx, peer, true)
		if err != nil {
			return nil, trunk.NotFound(err, inspect.HintAdd)
		}
		answer := peerAnswer(n, id) // do may forget it
		if err := do(ctx, id, v); err != nil {
			return nil, errors.New(words.Sentence(err))
		}
		return answer, nil
	}}
}

// dialPeer is the API's action that connects to a peer. Addresses that come with the key
// are stored only after they have worked.
func dialPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Do: func(ctx context.Context, peer string, _ url.Values) (any, error) {
		id, err := n.Peers().Given(ctx, peer, false)
		if err != nil {
			return nil, trunk.NotFound(err, inspect.HintAdd)
		}
		_, had := n.Connection(id)
		conn, err := n.Dial(ctx, id)
		if err != nil {
			return nil, trunk.NotConnected(err, peer)
		}
		v := peerAnswer(n, id)
		if !had && strings.Contains(peer, "::") {
			v.Address, v.GivenError = elsewhere(n, conn)
		}
		return v, nil
	}}
}

// elsewhere returns the address of a connection that was made although the given
// addresses have failed, and the error of the last of them. It returns nothing if one of
// them has worked.
func elsewhere(n *gamelan.Node, conn *gamelan.Connection) (addr, why string) {
	for _, a := range n.Inspection().Peer(conn.Peer).Attempts {
		switch {
		case a.Err == nil && a.Given:
			addr, why = "", ""
		case a.Given:
			addr, why = conn.Addr.String(), words.Sentence(a.Err)
		}
	}
	return addr, why
}

// PingTimeout is how long a ping waits for the answer unless it is told otherwise.
const PingTimeout = 10 * time.Second

// pingPeer is the API's action that measures the round trip to a peer. The parameter
// timeout bounds the dial and the answer together; without it the answer alone has a
// limit, PingTimeout, because a dial ends by itself.
func pingPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Params: []string{"timeout"}, Do: func(ctx context.Context, peer string, v url.Values) (any, error) {
		limit := time.Duration(0)
		if text := v.Get("timeout"); text != "" {
			var err error
			if limit, err = time.ParseDuration(text); err != nil || limit <= 0 {
				return nil, bad("give a positive duration, such as 5s", "timeout cannot be %q", text)
			}
		}
		id, err := n.Peers().Given(ctx, peer, false)
		if err != nil {
			return nil, trunk.NotFound(err, inspect.HintAdd)
		}
		return ping(ctx, n, id, limit)
	}}
}

func ping(ctx context.Context, n *gamelan.Node, id identity.NodeID, limit time.Duration) (any, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	} else {
		limit = PingTimeout
	}
	_, had := n.Connection(id)
	began := time.Now()
	conn, err := n.Dial(ctx, id)
	dial := time.Since(began)
	switch d, ok := errors.AsType[*gamelan.DialError](err); {
	case err == nil:
	case ok && len(d.Attempts) > 0, errors.Is(err, actors.ErrDialCancelled), errors.Is(err, actors.ErrConnectionClosed):
		answer := noAnswer("no connection: " + words.Sentence(err))
		if cause := trunk.CauseOf(err); cause != nil {
			answer.Cause = cause.Name
		}
		return nil, answer
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(fmt.Sprintf("no connection within %s", limit))
	default: // another try would end the same way
		return nil, errors.New(words.Sentence(err))
	}
	answer, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := n.Ping(answer, id)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(fmt.Sprintf("no answer within %s over the connection to %s", limit, conn.Addr))
	case err != nil:
		return nil, noAnswer(words.Sentence(err))
	}
	v := models.Pong{NodeID: id.String(), RTTMS: ms(p.RTT), Address: p.Conn.Addr.String(), Transport: p.Conn.Transport, Direction: p.Conn.Direction.String()}
	if !had {
		v.DialMS = ms(dial)
	}
	return v, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// noAnswer returns the error of a ping that has come to nothing, where the next may be
// answered.
func noAnswer(text string) *inspect.Error {
	return &inspect.Error{Code: inspect.CodeNoAnswer, Message: text, Hint: HintPing}
}
