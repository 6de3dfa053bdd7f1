package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// closedPorts is the internet, where nobody listens. It counts the connections that a node
// tries to make.
type closedPorts struct {
	transport.Transport

	mu    sync.Mutex
	tried map[string]int
}

var errClosedPort = errors.New("connection refused")

func (p *closedPorts) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	return p.DialPermitted(ctx, a, func(netip.Addr) error { return nil })
}

func (p *closedPorts) DialPermitted(_ context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (transport.Conn, error) {
	ip, ok := transport.IP(a)
	err := errClosedPort
	if ok {
		if refused := permit(ip); refused != nil {
			err = refused
		} else {
			p.count(ip.String())
		}
	} else {
		p.count(a[0].Value())
	}
	return nil, &transport.DialError{Addr: a, Stage: transport.StageConnect, Err: err}
}

func (p *closedPorts) count(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried[host]++
}

func (p *closedPorts) to(host string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried[host]
}

// TestAimedAtThirdParty has a node hear of a hundred peers at one address, which is that of
// somebody else: what other nodes cause, and automatic dials, make at most four connections a
// minute. Without a floor only the test dials. What the user asks for is dialled all the same,
// and so are peers elsewhere.
func TestAimedAtThirdParty(t *testing.T) {
	for _, tt := range []struct{ name, host, form string }{
		{"an address", "9.9.9.9", "/ip4/9.9.9.9/tcp/%d"},
		{"a /64", "", "/ip6/2a00:1:1:1::%x/tcp/443"},
		{"a name", "victim.example", "/dns4/victim.example/tcp/%d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				ports := &closedPorts{Transport: tcp.New(tcp.Options{}), tried: map[string]int{}}
				node, err := gamelan.Start(t.Context(), plainly(gamelan.Config{
					Network: protocol.MainNet.String(), Secret: gamelantest.Secret(1), Listen: []string{gamelan.ListenNowhere}, Floor: gamelan.NoFloor, PublicAddresses: []string{"/ip4/8.8.8.8/tcp/18189"},
				}), quiet, gamelan.WithTransport(ports))
				if err != nil {
					t.Fatal(err)
				}
				defer node.Close(context.Background())
				of := nodetest.Trunk(node)
				ask := func(m dialling.DialPeer) error {
					m.Token = of.NewID()
					r, err := of.System().Root.RequestFuture(of.Dialer(), m, time.Hour).Result()
					if err != nil {
						t.Fatal(err)
					}
					return r.(dialling.PeerDialed).Err
				}
				hear := func(number int, at string) identity.NodeID {
					p := peerstore.Peer{
						Key: secretOf(number).PublicKey(), ID: secretOf(number).NodeID(), Features: identity.FeatureNode,
						Addresses: []peerstore.Address{{Addr: ma.StringCast(at), Source: peerstore.AnotherPeer}},
					}
					if _, err := of.System().Root.RequestFuture(of.Peers(), peerbook.AddPeer{Token: of.NewID(), Peer: p}, time.Hour).Result(); err != nil {
						t.Fatal(err)
					}
					return p.ID
				}
				victim := func() (n int) {
					if tt.host != "" {
						return ports.to(tt.host)
					}
					for i := range 100 {
						n += ports.to(fmt.Sprintf("2a00:1:1:1::%x", 1+i))
					}
					return n
				}
				for round := range 2 {
					var last identity.NodeID
					aimed := 0
					for i := range 50 {
						last = hear(100+50*round+i, fmt.Sprintf(tt.form, 1+50*round+i))
						if errors.Is(ask(dialling.DialPeer{Peer: last, Stranger: i%2 == 0, Automatic: i%2 == 1}), actors.ErrAimed) {
							aimed++
						}
					}
					if got := victim() - 3*round; got != dial.AimLimit*(1+round) || aimed != 50-dial.AimLimit {
						t.Errorf("round %d: got %d connections, %d dials refused, want %d and the others", round, got, aimed, dial.AimLimit*(1+round))
					}
					before := victim()
					for range 3 {
						if err := ask(dialling.DialPeer{Peer: last}); !errors.Is(err, errClosedPort) {
							t.Errorf("the user's dial: got %v, want it made", err)
						}
					}
					if got := victim() - before; got != 3 {
						t.Errorf("got %d connections for the user, want 3", got)
					}
					if err := ask(dialling.DialPeer{Peer: hear(1000+round, "/ip4/9.9.9.10/tcp/1"), Stranger: true}); !errors.Is(err, errClosedPort) {
						t.Errorf("elsewhere: got %v, want a connection tried", err)
					}
					time.Sleep(dial.AimTime)
				}
			})
		})
	}
}
