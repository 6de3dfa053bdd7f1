package stored

import (
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestBubbleStoredStaleAnswer has a wallet crash after it has asked for its messages. Its
// server does not know whether the empty answer has arrived, and sends it again when the wallet
// is back, which has asked anew meanwhile. That answer does not stand for the one with the
// messages: they come at once.
func TestBubbleStoredStaleAnswer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		author := kit.StartMember(net, gamelan.Config{})
		server := kit.StartMember(net, gamelan.Config{})
		secret := gamelantest.Secret(100)
		before := kit.StartMember(net, gamelan.Config{Client: true, Secret: secret})
		net.SetLink(memory.Link{Latency: 100 * time.Millisecond})
		net.Connect(author.Node, server.Node)
		net.Connect(before.Node, server.Node)
		if _, err := before.DHT().FetchStored(t.Context()); err != nil { // from now on answers are written at once
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		go func() { _, _ = before.DHT().FetchStored(t.Context()) }()
		for server.DHT().StoreForward(t.Context()).Server.Requests["answered"] < 2 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond) // the answer is written, and not proven
		net.Cut(before.Node, server.Node)
		if err := before.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := kit.StoredLetters(10)
		for _, body := range want {
			if r := kit.StoreFor(t, author, secret.PublicKey(), body); r.Count(protocol.Confirmed) != 1 {
				t.Fatalf("%s: got %v, want it written to the server", body, r.String())
			}
		}

		wallet := kit.StartMember(net, gamelan.Config{Client: true, Secret: secret})
		net.Connect(wallet.Node, server.Node)
		fetched, err := wallet.DHT().FetchStored(t.Context())
		if err != nil || !fetched.Complete() || fetched.Delivered() != len(want) {
			t.Errorf("got %+v, %v, want the ten", fetched, err)
		}
		if got := wallet.Heard.Bodies(); !slices.Equal(got, want) {
			t.Errorf("got %q, want the ten in order", got)
		}
	})
}
