package config

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// RPCConfig bounds remote calls. Its limits count sessions: a session is a substream that
// carries one call at a time.
type RPCConfig struct {
	// Greatest number of sessions of all peers with this node's services. Above it, an idle session of the
	// source that has most is evicted, or the peer is asked to try again later. Default 1,000.
	MaxSessions int

	// Greatest number of these sessions for one peer. Default 10.
	MaxPeerSessions int

	// Greatest number of sessions of this node with one service of one peer, which is also the number of
	// calls that run at once. Many peers allow 10. Default 4.
	ClientSessions int

	// How long a peer may keep a session without making a call. Default 10 min.
	Idle time.Duration
}

func rpcRows() []*settings.Row {
	return []*settings.Row{
		settings.Number("rpc.max_sessions", func(c *RPCConfig) *int { return &c.MaxSessions }, 1000, 1, 100_000, `50`),
		settings.Number("rpc.max_peer_sessions", func(c *RPCConfig) *int { return &c.MaxPeerSessions }, 10, 1, 255, `4`),
		settings.Number("rpc.client_sessions", func(c *RPCConfig) *int { return &c.ClientSessions }, 4, 1, 255, `8`),
		settings.Number("rpc.idle", func(c *RPCConfig) *time.Duration { return &c.Idle }, rpc.DefaultIdle, time.Second, 24*time.Hour, `"1m"`),
	}
}
