package connections

import (
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// acking is a connection that is told when acknowledgements may wait.
type acking struct {
	transport.Conn
	remote ma.Multiaddr
	delays bool
}

func (c *acking) LocalMultiaddr() ma.Multiaddr            { return c.remote }
func (c *acking) RemoteMultiaddr() ma.Multiaddr           { return c.remote }
func (c *acking) Flight() (f transport.Flight, told bool) { return f, false }
func (c *acking) DelayAcks()                              { c.delays = true }

// TestUpgradedDelaysAcks: only nodes of this library are certain to send small pieces at once, and
// not what forwards their connections.
//
// conforms: V 45
func TestUpgradedDelaysAcks(t *testing.T) {
	const near, far, onion = "/ip4/127.0.0.1/tcp/1", "/ip4/9.9.9.9/tcp/1", "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234"
	for _, c := range []struct {
		name, agent, from string
		direction         protocol.Direction
		announces         []string
		want              bool
	}{
		{"this library, dialled", "gamelan/1.0", far, protocol.Outbound, []string{far}, true},
		{"this library, inbound", "app gamelan/1.0", far, protocol.Inbound, []string{far}, true},
		{"another node, dialled", "tari/basenode/1.0.0-rc.5", far, protocol.Outbound, []string{far}, false},
		{"another node, inbound", "tari/basenode/6.2.0", far, protocol.Inbound, []string{far}, false},
		{"nodes of one machine, inbound", "gamelan/1.0", near, protocol.Inbound, []string{near}, true},
		{"nodes of one machine, dialled", "gamelan/1.0", near, protocol.Outbound, []string{near}, true},
		{"through a forwarder, dialled", "gamelan/1.0", near, protocol.Outbound, []string{far}, false},
		{"through Tor, inbound", "gamelan/1.0", near, protocol.Inbound, []string{onion}, false},
		{"through a forwarder, inbound", "gamelan/1.0", near, protocol.Inbound, []string{far, onion}, false},
		{"by IPv6 of one machine", "gamelan/1.0", "/ip6/::1/tcp/1", protocol.Inbound, []string{far, "/ip6/::1/tcp/9"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var own [][]byte
			for _, a := range c.announces {
				own = append(own, ma.StringCast(a).Bytes())
			}
			r := &Room{Base: &base.Base{Settings: base.Settings{Now: time.Now}}}
			r.Local.Open(identify.Message{Claim: identity.Claim{Addresses: own}})
			conn := &acking{remote: ma.StringCast(c.from)}
			r.Upgraded(&upgrade.Result{Message: identify.Message{UserAgent: c.agent}}, &gatedConn{Conn: conn}, "tcp", c.direction)
			if conn.delays != c.want {
				t.Errorf("acknowledgements may wait: got %t, want %t", conn.delays, c.want)
			}
		})
	}
}
