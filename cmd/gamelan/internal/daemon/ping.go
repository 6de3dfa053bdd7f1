package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// pingPeer is the API's action that measures the round trip to a peer. The parameter
// timeout bounds the dial and the answer together; without it the answer alone has a
// limit, api.PingTimeout, because a dial ends by itself.
func pingPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Params: []string{"timeout"}, Do: func(ctx context.Context, peer string, v url.Values) (any, error) {
		limit := time.Duration(0)
		if text := v.Get("timeout"); text != "" {
			var err error
			if limit, err = time.ParseDuration(text); err != nil || limit <= 0 {
				return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("timeout cannot be %q", text), Hint: "give a positive duration, such as 5s"}
			}
		}
		id, err := offered(ctx, n, peer)
		if err != nil {
			return nil, err
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
		limit = api.PingTimeout
	}
	_, had := n.Connection(id)
	began := time.Now()
	conn, err := n.Dial(ctx, id)
	dial := time.Since(began)
	switch d, ok := errors.AsType[*gamelan.DialError](err); {
	case err == nil:
	case ok && len(d.Attempts) > 0, errors.Is(err, actors.ErrDialCancelled), errors.Is(err, actors.ErrConnectionClosed):
		return nil, noAnswer("no connection: " + failure.Text(err))
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(fmt.Sprintf("no connection within %s", limit))
	default: // another try would end the same way
		return nil, errors.New(failure.Text(err))
	}
	answer, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := n.Ping(answer, id)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(fmt.Sprintf("no answer within %s over the connection to %s", limit, conn.Addr))
	case err != nil:
		return nil, noAnswer(failure.Text(err))
	}
	v := api.Pong{NodeID: id.String(), RTTMS: ms(p.RTT), Address: p.Conn.Addr.String(), Transport: p.Conn.Transport, Direction: p.Conn.Direction.String()}
	if !had {
		v.DialMS = ms(dial)
	}
	return v, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// noAnswer returns the error of a ping that has come to nothing, where the next may be
// answered.
func noAnswer(text string) error {
	return &inspect.Error{Code: api.CodeNoAnswer, Message: text, Hint: "see why with gamelan why PEER"}
}
