package finding

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// The methods of the service.
const (
	methodGetCloserPeers = 1
	methodGetPeers       = 10
)

// list asks a node for peers and returns their ids and claims, in the order of the answer.
func list(from, of *gamelantest.Node, method uint32, request []byte) (ids []identity.NodeID, claims []identity.Claim, err error) {
	err = from.RPC().Client(of.ID(), protocol.PeersID).Invoke(context.Background(), method, true,
		func(b []byte) ([]byte, error) { return append(b, request...), nil },
		func(item []byte) error {
			p, err := wire.DecodePeerInfo(slices.Clone(item))
			if err != nil {
				return err
			}
			list, err := p.SignedClaims()
			if err != nil || len(list) != 1 {
				return errors.Join(err, errors.New("not one claim"))
			}
			ids, claims = append(ids, list[0].Key.NodeID()), append(claims, list[0])
			return nil
		})
	return ids, claims, err
}

func getPeers(n uint32) []byte {
	return wire.GetPeers{N: n, MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil)
}

// TestBubblePeerLists has a node ask another one, which has dialled some nodes and was
// dialled by others, for its peers; with GAMELAN_LONG again 61 hours later.
//
// conforms: dht 111, 113, 117; V 10, 23
func TestBubblePeerLists(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server := net.Start(gamelan.Config{})
		caller := net.Start(gamelan.Config{})
		net.Connect(caller, server)
		in, out, gone, left := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		client := net.Start(gamelan.Config{Client: true})
		for _, n := range []*gamelantest.Node{in, left, client} {
			net.Connect(n, server)
		}
		for _, n := range []*gamelantest.Node{out, gone} {
			net.Connect(server, n)
		}
		for _, n := range []*gamelantest.Node{gone, left} {
			if err := n.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			gamelantest.Eventually(t, 5*time.Second, "the connection closed", func() bool {
				_, ok := server.Connection(n.ID())
				return !ok
			})
		}
		expect := func(when string, got []identity.NodeID, want ...*gamelantest.Node) {
			t.Helper()
			set := make(map[identity.NodeID]bool)
			for _, n := range want {
				set[n.ID()] = true
			}
			found := make(map[identity.NodeID]bool)
			for _, id := range got {
				found[id] = true
			}
			if !maps.Equal(set, found) || len(got) != len(want) {
				t.Errorf("%s: got %d peers, want the %d others", when, len(got), len(want))
			}
		}
		get := func(method uint32, request []byte) []identity.NodeID {
			t.Helper()
			ids, claims, err := list(caller, server, method, request)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range claims {
				if err := c.Verify(time.Now()); err != nil {
					t.Errorf("claim of %v: %v", c.Key, err)
				}
			}
			return ids
		}
		// The server has dialled gone, and left has only ever dialled the server.
		expect("at once", get(methodGetPeers, getPeers(0)), in, out, gone)
		expect("clients too", get(methodGetPeers, wire.GetPeers{N: 9, IncludeClients: true, MaxClaims: 1, MaxAddressesPerClaim: 1}.Append(nil)), in, out, gone, client)
		closer := wire.GetCloserPeers{N: 9, MaxClaims: 1, MaxAddressesPerClaim: 1}
		ids := get(methodGetCloserPeers, closer.Append(nil))
		expect("closer", ids, in, out, gone)
		if !slices.IsSortedFunc(ids, func(a, b identity.NodeID) int { return caller.ID().Distance(a).Cmp(caller.ID().Distance(b)) }) {
			t.Errorf("got closer peers in the order %v, want the nearest to %v first", ids, caller.ID())
		}
		if n := len(get(methodGetPeers, getPeers(2))); n != 2 {
			t.Errorf("got %d peers, want 2", n)
		}
		if err := server.Peers().Ban(t.Context(), out.ID(), time.Hour, "test"); err != nil {
			t.Fatal(err)
		}
		expect("one banned", get(methodGetPeers, getPeers(0)), in, gone)
		served, peers := 5, 3+4+3+2+2
		if os.Getenv("GAMELAN_LONG") != "" {
			time.Sleep(61 * time.Hour)
			expect("61 h later", get(methodGetPeers, getPeers(0)), in)
			served, peers = served+1, peers+1
		}
		if v := server.DHT().Network().Service; v.Served != uint64(served) || v.Peers != uint64(peers) || v.Refused != 0 {
			t.Errorf("got the counts %+v", v)
		}
	})
}

// TestBubbleBadListRequests asks for what is not served.
//
// conforms: dht 112
func TestBubbleBadListRequests(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server, caller := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(caller, server)
		closer := wire.GetCloserPeers{MaxClaims: 1, MaxAddressesPerClaim: 1}
		for name, test := range map[string]struct {
			method  uint32
			request []byte
			want    rpc.Status
		}{
			"no limits":           {methodGetPeers, nil, rpc.BadRequest},
			"no claims":           {methodGetPeers, wire.GetPeers{N: 1, MaxAddressesPerClaim: 1}.Append(nil), rpc.BadRequest},
			"no number":           {methodGetCloserPeers, closer.Append(nil), rpc.BadRequest},
			"undecodable":         {methodGetPeers, []byte{0xff}, rpc.BadRequest},
			"undecodable, closer": {methodGetCloserPeers, []byte{0xff}, rpc.BadRequest},
			"another method":      {2, getPeers(1), rpc.UnsupportedMethod},
		} {
			if _, _, err := list(caller, server, test.method, test.request); !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", name, err, test.want)
			}
		}
	})
}

// TestBubbleListsTooOften has a node ask eleven times in a row. It is refused, not banned, and
// may ask again a minute later.
func TestBubbleListsTooOften(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server, caller := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(caller, server)
		for i := range 11 {
			_, _, err := list(caller, server, methodGetPeers, getPeers(0))
			if i < 10 && err != nil {
				t.Fatalf("request %d: %v", i, err)
			} else if i == 10 && !errors.Is(err, netsync.Busy) {
				t.Errorf("request %d: got %v, want busy", i, err)
			}
		}
		if v := server.DHT().Network().Service; v.Served != 10 || v.Refused != 1 {
			t.Errorf("got the counts %+v, want 10 served and 1 refused", v)
		}
		if _, ok := caller.Connection(server.ID()); !ok {
			t.Error("the connection is gone")
		}
		time.Sleep(time.Minute)
		if _, _, err := list(caller, server, methodGetPeers, getPeers(0)); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// TestBubbleWhoOffersLists: nodes with the DHT do, clients do not, and users cannot offer
// or withdraw the service.
//
// conforms: dht 111
func TestBubbleWhoOffersLists(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		caller := net.Start(gamelan.Config{})
		for name, test := range map[string]struct {
			cfg  gamelan.Config
			want bool
		}{
			"node":        {gamelan.Config{}, true},
			"client":      {gamelan.Config{Client: true}, false},
			"without DHT": {gamelan.Config{NoDHT: true}, false},
		} {
			n := net.Start(test.cfg)
			net.Connect(caller, n)
			conn, ok := caller.Connection(n.ID())
			if !ok || slices.Contains(conn.Protocols, protocol.PeersID) != test.want {
				t.Errorf("%s: got the protocols %v, want %v among them: %v", name, conn.Protocols, protocol.PeersID, test.want)
			}
			_, _, err := list(caller, n, methodGetPeers, getPeers(0))
			if (err == nil) != test.want {
				t.Errorf("%s: got %v from a request, want it served: %v", name, err, test.want)
			}
			mine := rpc.Service{Protocol: protocol.PeersID, Methods: []rpc.Method{rpc.Unary(1, func(context.Context, *kit.Text) (*kit.Text, error) { return nil, nil })}}
			if err := n.RPC().Register(t.Context(), mine); !errors.Is(err, actors.ErrProtocolTaken) {
				t.Errorf("%s: got %v from registering, want that it is taken", name, err)
			}
			if err := n.RPC().Unregister(t.Context(), protocol.PeersID); err == nil {
				t.Errorf("%s: the service was removed", name)
			}
		}
	})
}

// TestBubbleListsTakeNoPlaces: a session with the service ends right after the call, and
// takes no place of a user's service, nor the other way round.
func TestBubbleListsTakeNoPlaces(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p := kit.NewPair(t, gamelan.Config{RPC: gamelan.RPCConfig{MaxSessions: 1, MaxPeerSessions: 1}}, gamelan.Config{})
		waits := make(chan error)
		go func() {
			_, err := rpc.Call[kit.Number, kit.Text](context.Background(), p.Calls, kit.Wait, wrapperspb.UInt64(60_000))
			waits <- err
		}()
		gamelantest.Eventually(t, 5*time.Second, "a call that takes the only place", func() bool { return p.Service.Running.Load() == 1 })
		for range 3 {
			if _, _, err := list(p.Client, p.Server, methodGetPeers, getPeers(0)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			if n := kit.Sessions(p.Server); n != 1 {
				t.Errorf("got %d sessions after a request for peers, want that of the user's service", n)
			}
		}
		if err := <-waits; err != nil {
			t.Errorf("the user's call: %v", err)
		}
	})
}
