package keyvalue

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/kad"
)

// kadNetwork starts nodes, each with a client of the key-value DHT, that know the first one.
func kadNetwork(t *testing.T, n int) (net *gamelantest.Network, nodes []*gamelantest.Node, clients []*kad.Client) {
	t.Helper()
	net = gamelantest.NewNetwork(t)
	for i := range n {
		node := net.Start(gamelan.Config{NoDHT: true})
		c, err := node.KV().Open(t.Context(), kad.Config{Name: "main"})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if _, err := c.Connect(t.Context(), nodes[0].Seed()); err != nil {
				t.Fatalf("node %d: %v", i+1, err)
			}
		}
		nodes, clients = append(nodes, node), append(clients, c)
	}
	return net, nodes, clients
}

// TestBubbleKad: what one node publishes, all others find over their connections.
func TestBubbleKad(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		_, _, clients := kadNetwork(t, 8)
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, c := range clients {
			value := fmt.Appendf(nil, "value of %d", i)
			r, err := c.Put(t.Context(), value)
			if err != nil {
				t.Fatalf("put %d: %v", i, err)
			}
			if r.Accepted != 7 {
				t.Errorf("put %d: got %d holders, want all 7 others", i, r.Accepted)
			}
			for j, other := range clients {
				got, err := other.Get(t.Context(), r.Key)
				if err != nil || !bytes.Equal(got.Value, value) {
					t.Fatalf("get of %d by %d: got %v, %v", i, j, got, err)
				}
			}
		}
	})
}

// TestBubbleKadManyNetworks opens clients of networks with names of their own on one node, until
// the node offers as many protocols as it may. One more is refused, and takes nothing from the others.
//
// conforms: kad 58
func TestBubbleKadManyNetworks(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true})
		open := func(n *gamelantest.Node, i int, network string) (*kad.Client, error) {
			return n.KV().Open(t.Context(), kad.Config{Name: fmt.Sprintf("c%d", i), Network: network})
		}
		var clients []*kad.Client
		var err error
		for err == nil && len(clients) < 2*more.MaxProtocols {
			var c *kad.Client
			if c, err = open(a, len(clients), fmt.Sprintf("net%d", len(clients))); err == nil {
				clients = append(clients, c)
			}
		}
		if !errors.Is(err, kad.ErrTooManyProtocols) || len(clients) == 0 || len(clients) > more.MaxProtocols {
			t.Fatalf("got %v after %d clients, want %v", err, len(clients), kad.ErrTooManyProtocols)
		}
		if _, err := open(a, 1000, "net0"); !errors.Is(err, kad.ErrTooManyProtocols) && !errors.Is(err, kad.ErrNetworkInUse) {
			t.Errorf("got %v for a network in use", err)
		}
		if _, ok := a.KV().Client("c1000"); ok {
			t.Error("got a client that was refused")
		}
		last := len(clients) - 1
		for _, i := range []int{0, last} {
			other, err := open(b, i, fmt.Sprintf("net%d", i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := other.Connect(t.Context(), a.Seed()); err != nil {
				t.Fatalf("network %d: %v", i, err)
			}
			time.Sleep(time.Minute)
			r, err := other.Put(t.Context(), fmt.Appendf(nil, "of %d", i))
			if err != nil || r.Accepted != 1 {
				t.Fatalf("network %d: got %+v, %v, want one holder", i, r, err)
			}
			if got, err := clients[i].Get(t.Context(), r.Key); err != nil || string(got.Value) != fmt.Sprintf("of %d", i) {
				t.Errorf("network %d: got %v, %v", i, got, err)
			}
			if _, err := clients[1].Get(t.Context(), r.Key); !errors.Is(err, kad.ErrNotFound) && !errors.Is(err, kad.ErrNoPeers) && !errors.Is(err, kad.ErrIsolated) {
				t.Errorf("another network: got %v, want that it is not found", err)
			}
		}
	})
}

// TestBubbleKadAddressesChange gives a node an onion service while its client runs, as Tor does: the
// client is told.
func TestBubbleKadAddressesChange(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n, c := kadNode(t, gamelantest.NewNetwork(t))
		before := c.Addresses()
		onion, err := ma.NewMultiaddr("/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:18101")
		if err != nil {
			t.Fatal(err)
		}
		nodetest.Trunk(n).Advertise(onion, nil)
		synctest.Wait()
		if want := append(before, kad.Address(onion.String())); !slices.Equal(c.Addresses(), want) {
			t.Errorf("got %v, want %v", c.Addresses(), want)
		}
	})
}
