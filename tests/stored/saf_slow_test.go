package stored

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// slowActor takes its time for each message.
type slowActor struct {
	took time.Duration
	next actor.Actor
}

func (a slowActor) Receive(c actor.Context) {
	if _, ok := c.Message().(dht.Received); ok {
		time.Sleep(a.took)
	}
	a.next.Receive(c)
}

// requests returns how often a member has asked for stored messages.
func requests(t *testing.T, m kit.Member) uint64 {
	t.Helper()
	return m.DHT().StoreForward(t.Context()).Client.Requests
}

// TestBubbleStoreForwardSlowHandler: a handler takes 8 s for each of 60 messages. The server
// is asked again only when the handler has finished those of the last answer, and each message
// arrives once, in order.
func TestBubbleStoreForwardSlowHandler(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		author, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{}, 60)
		if err := wallet.DHT().UnregisterType(t.Context(), kit.TextType); err != nil {
			t.Fatal(err)
		}
		slow := func(n *gamelan.Node) actor.Actor { return slowActor{8 * time.Second, wallet.Heard.New(n)} }
		if err := wallet.DHT().RegisterType(t.Context(), kit.TextType, slow); err != nil {
			t.Fatal(err)
		}
		net.Connect(wallet.Node, server.Node)
		for wallet.Heard.Len() < 50 {
			if n := requests(t, wallet); n > 1 {
				t.Errorf("after %d of 50 messages: got %d requests, want one", wallet.Heard.Len(), n)
				break
			}
			time.Sleep(5 * time.Second)
		}
		kit.StoreFor(t, author, wallet.PublicKey(), "live") // it goes the direct way
		time.Sleep(30 * time.Minute)
		wantLetters(t, "in the end", wallet, append(kit.StoredLetters(60)[:50:50], wallet.Heard.Bodies()[50:]...))
		if n := wallet.Heard.Len(); n != 61 {
			t.Errorf("got %d messages, want 61", n)
		}
	})
}

// TestBubbleStoreForwardEndedInHand: a wallet ends with messages in the hands of its actor, and
// is back at once. Its server holds them back for a minute; the wallet asks once more, and
// gets them.
func TestBubbleStoreForwardEndedInHand(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		_, server, wallet := away(t, net, gamelan.Config{}, gamelan.Config{}, 3)
		if err := wallet.DHT().UnregisterType(t.Context(), kit.TextType); err != nil {
			t.Fatal(err)
		}
		keep := func(*gamelan.Node) actor.Actor { return keepsCredit{} }
		if err := wallet.DHT().RegisterType(t.Context(), kit.TextType, keep); err != nil {
			t.Fatal(err)
		}
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		if n := requests(t, wallet); n != 1 {
			t.Errorf("got %d requests, want one", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = wallet.Close(ctx) // the actor never finishes: as if the node were killed
		time.Sleep(5 * time.Second)

		again := kit.StartMember(net, gamelan.Config{Client: true, Secret: gamelantest.Secret(wallet.Number)})
		net.Connect(again.Node, server.Node)
		time.Sleep(30 * time.Second)
		wantLetters(t, "held back", again, nil)
		time.Sleep(2 * time.Minute)
		wantLetters(t, "asked once more", again, kit.StoredLetters(3))
	})
}

// keepsCredit never finishes a message.
type keepsCredit struct{}

func (keepsCredit) Receive(c actor.Context) {
	if m, ok := c.Message().(dht.Received); ok {
		m.Keep()
	}
}
