package config

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// RPCConfig bounds remote calls. A session is a substream. Between nodes of this library it carries up to
// 1,024 calls at once, and otherwise one.
type RPCConfig struct {
	// Greatest number of sessions of all peers with this node's services. Above it, an idle session of the
	// source that has most is evicted, or the peer is asked to try again later. Default 1,000.
	MaxSessions int

	// Greatest number of these sessions for one peer. Default 10.
	MaxPeerSessions int

	// Greatest number of calls of all peers that run at once, in sessions that carry many. A source (an IPv4 address, an
	// IPv6 /64, a peer behind Tor) may have half of what others leave. More are refused. Default 4,096.
	MaxCalls int

	// Greatest number of these calls for one peer. Default 1,024.
	MaxPeerCalls int

	// Greatest number of sessions of this node with one service of one peer of another make, which is also the number of
	// calls that run at once. Many peers allow 10. Default 4.
	ClientSessions int

	// How long a peer may keep a session without making a call. Default 10 min.
	Idle time.Duration
}

func rpcRows() []*settings.Row {
	return []*settings.Row{
		settings.Number("rpc.max_sessions", func(c *RPCConfig) *int { return &c.MaxSessions }, 1000, 1, 100_000, `50`),
		settings.Number("rpc.max_peer_sessions", func(c *RPCConfig) *int { return &c.MaxPeerSessions }, 10, 1, 255, `4`),
		settings.Number("rpc.max_calls", func(c *RPCConfig) *int { return &c.MaxCalls }, 4096, 1, 1_000_000, `512`),
		settings.Number("rpc.max_peer_calls", func(c *RPCConfig) *int { return &c.MaxPeerCalls }, 1024, 1, 1_000_000, `64`),
		settings.Number("rpc.client_sessions", func(c *RPCConfig) *int { return &c.ClientSessions }, 4, 1, 255, `8`),
		settings.Number("rpc.idle", func(c *RPCConfig) *time.Duration { return &c.Idle }, onecall.DefaultIdle, time.Second, 24*time.Hour, `"1m"`),
	}
}
