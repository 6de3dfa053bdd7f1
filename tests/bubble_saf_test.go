package tests

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// storeFor sends an encrypted message to somebody who may be away, and returns the report.
func storeFor(t *testing.T, from member, to identity.PublicKey, body string) dht.Report {
	t.Helper()
	r := send(t, from, dht.Message{To: dht.StoreFor{To: to}, Type: textType, Encrypt: true, Body: []byte(body)})
	synctest.Wait() // a confirmed message was read by the server; whoever connects before it is judged gets it directly
	return r
}

// asking returns a network whose nodes ask for stored messages whenever they connect.
func asking(t *testing.T) *gamelantest.Network {
	net := gamelantest.NewNetwork(t)
	net.Quiet = false
	return net
}

// storedLetters returns n different bodies, in order.
func storedLetters(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("letter %02d", i))
	}
	return list
}

// wantStored checks how many messages a member stores for others.
func wantStored(t *testing.T, what string, m member, want int) models.StoreForwardServer {
	t.Helper()
	s := m.DHT().StoreForward(t.Context())
	if s.Server == nil || s.Server.Messages != want {
		t.Fatalf("%s: got %+v stored, want %d", what, s.Server, want)
	}
	return *s.Server
}

// TestBubbleStoreForward has a wallet go away and ten messages sent to it over a node that
// stores them. When it comes back it gets the ten, in order and once each, marked as
// stored, from their author.
func TestBubbleStoreForward(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := asking(t)
		author := startMember(net, gamelan.Config{})
		server := startMember(net, gamelan.Config{})
		wallet := startMember(net, gamelan.Config{Client: true})
		net.Connect(author.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		net.Partition(wallet.Node, server.Node)
		net.Cut(wallet.Node, server.Node)
		synctest.Wait()

		want := storedLetters(10)
		for _, body := range want {
			r := storeFor(t, author, wallet.PublicKey(), body)
			if r.Count(protocol.Confirmed) != 1 {
				t.Errorf("%s: got %v, want it written to the server", body, r.String())
			}
		}
		synctest.Wait()
		wantStored(t, "while the wallet is away", server, len(want))
		if n := wallet.heard.Len(); n != 0 {
			t.Fatalf("got %d messages while the wallet is away", n)
		}

		net.Heal(wallet.Node, server.Node)
		time.Sleep(2 * time.Minute)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := wallet.heard.Bodies(); !slices.Equal(got, want) {
			t.Errorf("got %q, want the ten in order", got)
		}
		for _, m := range wallet.heard.Delivered() {
			if !m.Stored || m.From != author.PublicKey() || m.Peer != server.ID() || !m.Encrypted || m.Copies != 1 {
				t.Errorf("got %+v, want a stored message of the author", m)
			}
		}
		fetched, err := wallet.DHT().FetchStored(t.Context())
		if err != nil || fetched.Delivered() != 0 || !fetched.Complete() {
			t.Errorf("another fetch: got %+v, %v, want nothing new", fetched, err)
		}
		if s := wantStored(t, "in the grace", server, len(want)); s.Delivered != len(want) || s.Confirmed < uint64(len(want)) {
			t.Errorf("got %+v, want all confirmed", s)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		wantStored(t, "after the grace", server, 0)
	})
}

// TestBubbleStoredForConnected: a node keeps a message for a receiver that is connected to it
// no longer than the grace after the receiver has read the message.
func TestBubbleStoredForConnected(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		author := startMember(net, gamelan.Config{Floor: gamelan.NoFloor})
		server := startMember(net, gamelan.Config{Floor: gamelan.NoFloor})
		wallet := startMember(net, gamelan.Config{Floor: gamelan.NoFloor, Client: true})
		net.Connect(author.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		if r := storeFor(t, author, wallet.PublicKey(), "letter"); r.Count(protocol.Confirmed) != 1 {
			t.Fatalf("got %v, want it written to the server", r.String())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := wallet.heard.Len(); got != 1 {
			t.Fatalf("got %d messages, want the letter", got)
		}
		if s := wantStored(t, "in the grace", server, 1); s.Delivered != 1 || s.Confirmed != 1 {
			t.Errorf("in the grace: got %+v, want it confirmed once", s)
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		wantStored(t, "after the grace", server, 0)
	})
}
