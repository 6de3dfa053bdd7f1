package stored

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// away starts an author, a server between, and a wallet that is not connected, and has the
// author send letters to the wallet.
func away(t *testing.T, net *gamelantest.Network, server, wallet gamelan.Config, n int) (author, between, owner kit.Member) {
	t.Helper()
	wallet.Client = true
	author, between, owner = kit.StartMember(net, gamelan.Config{}), kit.StartMember(net, server), kit.StartMember(net, wallet)
	net.Connect(author.Node, between.Node)
	for _, body := range kit.StoredLetters(n) {
		kit.StoreFor(t, author, owner.PublicKey(), body)
	}
	synctest.Wait()
	return author, between, owner
}

// wantLetters checks that a member has heard these, in order and once each.
func wantLetters(t *testing.T, what string, m kit.Member, want []string) {
	t.Helper()
	synctest.Wait()
	if got := m.Heard.Bodies(); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestBubbleStoreForwardNoStore: a node that stores nothing relays as before, and answers
// that it has nothing.
func TestBubbleStoreForwardNoStore(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		author, server, wallet := away(t, net, gamelan.Config{StoreForward: gamelan.StoreForwardConfig{NoStore: true}}, gamelan.Config{}, 3)
		kit.WantStored(t, "a node with NoStore", server, 0)
		net.Connect(wallet.Node, server.Node)
		f, err := wallet.DHT().FetchStored(t.Context(), server.ID())
		if err != nil || !f.Complete() || f.Servers[0].Answers == 0 || f.Delivered() != 0 {
			t.Errorf("got %+v, %v, want an empty answer", f, err)
		}
		kit.StoreFor(t, author, wallet.PublicKey(), "now")
		time.Sleep(time.Second)
		wantLetters(t, "while connected", wallet, []string{"now"})
	})
}

// TestBubbleStoreForwardNoRequests: a node that asks only on request gets its messages by a
// fetch; and before it knows a server it says so.
func TestBubbleStoreForwardNoRequests(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		_, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{StoreForward: gamelan.StoreForwardConfig{NoRequests: true}}, 3)
		if _, err := wallet.DHT().FetchStored(t.Context()); !errors.Is(err, gamelan.ErrNobodyToAsk) {
			t.Errorf("got %v, want nobody to ask", err)
		}
		net.Connect(wallet.Node, server.Node)
		time.Sleep(time.Minute)
		wantLetters(t, "before the fetch", wallet, nil)
		f, err := wallet.DHT().FetchStored(t.Context())
		if err != nil || f.Delivered() != 3 || !f.Complete() {
			t.Errorf("got %+v, %v, want three", f, err)
		}
		wantLetters(t, "after the fetch", wallet, kit.StoredLetters(3))
		if s := wallet.DHT().StoreForward(t.Context()); s.Server != nil || s.Client.Delivered != 3 || len(s.Client.Peers) != 1 || s.Client.Peers[0].Last == nil {
			t.Errorf("got %+v, want a client that has fetched from one", s)
		}
	})
}

// TestBubbleStoreForwardFetchAtOnce: a dial returns when the directory has the connection. A
// fetch asks its peer also when the client has not heard of the connection yet.
func TestBubbleStoreForwardFetchAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		_, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{StoreForward: gamelan.StoreForwardConfig{NoRequests: true}}, 3)
		net.Connect(wallet.Node, server.Node)
		synctest.Wait()
		ref, ok := nodetest.Trunk(wallet.Node).Connections().Get(server.ID())
		if !ok {
			t.Fatal("got no connection")
		}
		system := wallet.System()
		client := system.NewLocalPID(wallet.Inspection().Tree().PID().Id + "/saf/client")
		for i, named := range [][]identity.NodeID{{server.ID()}, nil} {
			system.Root.Send(client, actors.PeerDisconnected{Peer: server.ID(), Conn: ref}) // as if it had not heard
			f, err := wallet.DHT().FetchStored(t.Context(), named...)
			if err != nil || !f.Complete() || i == 0 && f.Delivered() != 3 {
				t.Errorf("peers %v: got %+v and %v, want an answer of the server", named, f, err)
			}
		}
		wantLetters(t, "after the fetches", wallet, kit.StoredLetters(3))
	})
}

// TestBubbleStoreForwardNoHandler: messages that no actor takes are not lost. The node asks
// for them again, and they come once an actor was registered.
func TestBubbleStoreForwardNoHandler(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		_, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{}, 3)
		if err := wallet.DHT().UnregisterType(t.Context(), kit.TextType); err != nil {
			t.Fatal(err)
		}
		net.Connect(wallet.Node, server.Node)
		f, err := wallet.DHT().FetchStored(t.Context())
		if err != nil || f.Delivered() != 0 || f.Servers[0].Refused == 0 {
			t.Errorf("without an actor: got %+v, %v, want the messages refused", f, err)
		}
		if err := wallet.DHT().RegisterType(t.Context(), kit.TextType, wallet.Heard.New); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute) // a server repeats a message after a minute
		wantLetters(t, "in the end", wallet, kit.StoredLetters(3))
	})
}

// TestBubbleStoreForwardRestarts: the actors of server and wallet fail in between, and the
// wallet gets each message once.
func TestBubbleStoreForwardRestarts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		author, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{}, 5)
		crash := func(n kit.Member, path string) {
			t.Helper()
			if !gamelantest.Crash(n.Node.Node, path, "on purpose") {
				t.Fatalf("%s does not run", path)
			}
			time.Sleep(5 * time.Second)
		}
		crash(server, "saf/keeper")
		kit.WantStored(t, "after a restart of the keeper", server, 5)
		kit.StoreFor(t, author, wallet.PublicKey(), "letter 05")
		crash(wallet, "saf/client")
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		crash(wallet, "saf/client")
		crash(server, "saf/keeper")
		if _, err := wallet.DHT().FetchStored(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		if f, err := wallet.DHT().FetchStored(t.Context()); err != nil || !f.Complete() {
			t.Errorf("got %+v, %v, want a complete fetch", f, err)
		}
		wantLetters(t, "in the end", wallet, kit.StoredLetters(6))
	})
}

// TestBubbleStoreForwardPurge deletes what is stored for one receiver, and then the rest.
func TestBubbleStoreForwardPurge(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		author, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{}, 3)
		kit.StoreFor(t, author, gamelantest.Secret(99).PublicKey(), "for somebody unknown")
		synctest.Wait()
		if s := kit.WantStored(t, "before", server, 4); s.Destinations != 2 || s.Bytes == 0 {
			t.Errorf("got %+v, want two receivers", s)
		}
		if p, err := server.DHT().PurgeStored(t.Context(), wallet.ID()); err != nil || p.Messages != 3 || p.Bytes == 0 {
			t.Errorf("got %+v, %v, want three purged", p, err)
		}
		kit.WantStored(t, "after the first", server, 1)
		if p, err := server.DHT().PurgeAllStored(t.Context()); err != nil || p.Messages != 1 {
			t.Errorf("got %+v, %v, want the rest purged", p, err)
		}
		kit.WantStored(t, "after the second", server, 0)
		if p, err := wallet.DHT().PurgeAllStored(t.Context()); err != nil || p.Messages != 0 {
			t.Errorf("a client: got %+v, %v, want nothing", p, err)
		}
	})
}

// TestBubbleStoreForwardWithoutDHT: without the DHT there is nothing to store or to fetch.
func TestBubbleStoreForwardWithoutDHT(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{NoDHT: true})
		if _, err := n.DHT().FetchStored(t.Context()); !errors.Is(err, gamelan.ErrNoDHT) {
			t.Errorf("fetch: got %v", err)
		}
		if _, err := n.DHT().PurgeAllStored(t.Context()); !errors.Is(err, gamelan.ErrNoDHT) {
			t.Errorf("purge: got %v", err)
		}
		if s := n.DHT().StoreForward(t.Context()); s.On || s.Server != nil || s.Client != nil {
			t.Errorf("got %+v, want it off", s)
		}
	})
}

// TestBubbleStoreForwardLayers: a layer before delivery sees stored messages and may stop
// them, and one after dedup does not.
func TestBubbleStoreForwardLayers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		_, server, _ := away(t, net, gamelan.Config{}, gamelan.Config{}, 0)
		author := kit.StartMember(net, gamelan.Config{})
		net.Connect(author.Node, server.Node)
		count := func(n *int, stored bool) dht.Layer {
			return func(next dht.Handler) dht.Handler {
				return func(m *dht.Incoming) dht.Verdict {
					if m.Stored == stored && m.Envelope.Header.Type == 0 {
						*n++
					}
					return next(m)
				}
			}
		}
		var before, after int // used by the inbound actor, and read when it is idle
		wallet := kit.StartMember(net, gamelan.Config{Client: true},
			gamelan.WithLayer(dht.BeforeDeliver, count(&before, true)), gamelan.WithLayer(dht.AfterDedup, count(&after, false)))
		for _, body := range kit.StoredLetters(2) {
			kit.StoreFor(t, author, wallet.PublicKey(), body)
		}
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		wantLetters(t, "through the layers", wallet, kit.StoredLetters(2))
		if before != 2 || after != 0 {
			t.Errorf("got %d before delivery and %d after dedup, want 2 and none", before, after)
		}
	})
}
