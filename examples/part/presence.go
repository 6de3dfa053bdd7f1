// Package presence is a part of a node that tells connected peers whether its user is there.
package presence

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The service has one method, whose request is a status. Peers choose it, so it has a limit.
const (
	service   = protocol.ID("/example/presence/1")
	tell      = 1
	maxStatus = 32 // bytes
)

type presence struct {
	mu    sync.Mutex
	own   string
	peers map[string]string // of connected peers alone, so that strangers cannot fill it
}

// With returns the option that gives a node its presence, with its first status.
func With(status string) gamelan.Option {
	p := &presence{own: status, peers: make(map[string]string)}
	return gamelan.Options(
		gamelan.WithPart(p.part),
		gamelan.WithService(rpc.Service{Protocol: service, Methods: []rpc.Method{rpc.Unary(tell, p.heard)}}),
		gamelan.WithStop(func(ctx context.Context, n *gamelan.Node) error { _, err := p.set(ctx, n, "away"); return err }),
	)
}

func (p *presence) part(n *gamelan.Node) (gamelan.Part, error) {
	return gamelan.Part{
		Name:     "presence",
		Actors:   []supervisor.Spec{{Name: "teller", New: func() actor.Actor { return &teller{p, n} }}},
		Sections: map[string]func(context.Context) any{"presence": func(context.Context) any { return p.show() }},
		Metrics:  func(context.Context) any { return p.show() },
		Verbs: map[string]map[string]inspect.Verb{"presence": {"set": {
			Params: []string{"status"},
			Do:     func(ctx context.Context, v url.Values, _ []byte) (any, error) { return p.set(ctx, n, v.Get("status")) },
		}}},
		Warnings: func() models.Notices {
			if p.show().Own != "busy" {
				return nil
			}
			return models.Notices{{Code: "presence_busy", Severity: models.Warning, What: "the presence is busy", Step: "set it to here again"}}
		},
	}, check(p.own)
}

func check(status string) error {
	if status == "" || len(status) > maxStatus || strings.ContainsFunc(status, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("a status is 1 to %d characters of ASCII", maxStatus)
	}
	return nil
}

// teller tells each peer that connects.
type teller struct {
	p *presence
	n *gamelan.Node
}

// Receive runs in the actor's turn, so it leaves what waits to tasks.
func (a *teller) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.GoLong(c, "events", nil, func(ctx context.Context) error {
			for e := range a.n.Events(ctx) {
				switch v := e.Value.(type) {
				case gamelan.PeerConnected:
					supervisor.Tell(ctx, v)
				case gamelan.PeerDisconnected:
					a.p.mu.Lock()
					delete(a.p.peers, v.Peer.String())
					a.p.mu.Unlock()
				}
			}
			return nil
		})
	case gamelan.PeerConnected:
		supervisor.Do(c, m.Peer, func(ctx context.Context) (struct{}, error) { a.p.tell(ctx, a.n, m.Peer); return struct{}{}, nil })
	case supervisor.Done[struct{}], supervisor.TaskDone:
	default:
		supervisor.Unhandled(c)
	}
}

// heard notes what a connected peer has told.
func (p *presence) heard(ctx context.Context, s *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	if err := check(s.Value); err != nil {
		return nil, rpc.Errorf(rpc.BadRequest, "%v", err)
	}
	from, _ := rpc.CallerOf(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers[from.Peer.String()] = s.Value
	return wrapperspb.String(p.own), nil
}

// set changes the node's status and tells all connected peers.
func (p *presence) set(ctx context.Context, n *gamelan.Node, status string) (Shown, error) {
	if err := check(status); err != nil {
		return p.show(), err
	}
	p.mu.Lock()
	p.own = status
	p.mu.Unlock()
	for _, c := range n.Connections() {
		p.tell(ctx, n, c.Peer)
	}
	return p.show(), nil
}

// tell tells one peer, if it has the service and answers in time.
func (p *presence) tell(ctx context.Context, n *gamelan.Node, peer identity.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, _ = rpc.Call[wrapperspb.StringValue, wrapperspb.StringValue](ctx, n.RPC().Client(peer, service), tell, wrapperspb.String(p.show().Own))
}

// Shown is the section "presence": the status of this node, and those of connected peers.
type Shown struct {
	Own   string            `json:"own"`
	Peers map[string]string `json:"peers" metric:"presence_peers" help:"Peers whose status is known."`
}

func (p *presence) show() Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Shown{p.own, maps.Clone(p.peers)}
}
