package connections

import (
	"errors"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// arriving is a connection from an address.
type arriving struct {
	transport.Conn
	from ma.Multiaddr
}

func (c arriving) RemoteMultiaddr() ma.Multiaddr { return c.from }
func (arriving) Close() error                    { return nil }

// TestReplacedSetupIsNoConnection: a set-up gives way to a newer one when it has ended well, before it is made a
// connection.
func TestReplacedSetupIsNoConnection(t *testing.T) {
	now := time.Unix(1e9, 0)
	var g inboundGate
	g.open(connpool.GateLimits{Setups: 1}, nil, func() time.Time { return now })
	first, err := g.enter(arriving{from: ma.StringCast("/ip4/203.0.113.1/tcp/1")})
	if err != nil {
		t.Fatal(err)
	}
	first.arrives(func() {})
	now = now.Add(time.Minute)
	if _, err := g.enter(arriving{from: ma.StringCast("/ip4/198.51.100.1/tcp/1")}); err != nil {
		t.Fatal(err)
	}
	err = first.establish(false)
	if limit, ok := errors.AsType[*protocol.LimitError](err); !ok || limit.Name != "MaxSetups" || !errors.Is(err, actors.ErrOverloaded) {
		t.Errorf("got %v, want the limit of set-ups", err)
	}
}
