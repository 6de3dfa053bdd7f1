package stored

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleStoreForward has a wallet go away and ten messages sent to it over a node that
// stores them. When it comes back it gets the ten, in order and once each, marked as
// stored, from their author.
func TestBubbleStoreForward(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := kit.Asking(t)
		author := kit.StartMember(net, gamelan.Config{})
		server := kit.StartMember(net, gamelan.Config{})
		wallet := kit.StartMember(net, gamelan.Config{Client: true})
		net.Connect(author.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		net.Partition(wallet.Node, server.Node)
		net.Cut(wallet.Node, server.Node)
		synctest.Wait()

		want := kit.StoredLetters(10)
		for _, body := range want {
			r := kit.StoreFor(t, author, wallet.PublicKey(), body)
			if r.Count(protocol.Confirmed) != 1 {
				t.Errorf("%s: got %v, want it written to the server", body, r.String())
			}
		}
		synctest.Wait()
		kit.WantStored(t, "while the wallet is away", server, len(want))
		if n := wallet.Heard.Len(); n != 0 {
			t.Fatalf("got %d messages while the wallet is away", n)
		}

		net.Heal(wallet.Node, server.Node)
		time.Sleep(2 * time.Minute)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := wallet.Heard.Bodies(); !slices.Equal(got, want) {
			t.Errorf("got %q, want the ten in order", got)
		}
		for _, m := range wallet.Heard.Delivered() {
			if !m.Stored || m.From != author.PublicKey() || m.Peer != server.ID() || !m.Encrypted || m.Copies != 1 {
				t.Errorf("got %+v, want a stored message of the author", m)
			}
		}
		fetched, err := wallet.DHT().FetchStored(t.Context())
		if err != nil || fetched.Delivered() != 0 || !fetched.Complete() {
			t.Errorf("another fetch: got %+v, %v, want nothing new", fetched, err)
		}
		if s := kit.WantStored(t, "in the grace", server, len(want)); s.Delivered != len(want) || s.Confirmed < uint64(len(want)) {
			t.Errorf("got %+v, want all confirmed", s)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		kit.WantStored(t, "after the grace", server, 0)
	})
}

// TestBubbleStoredForConnected: a node keeps a message for a receiver that is connected to it
// no longer than the grace after the receiver has read the message.
func TestBubbleStoredForConnected(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		author := kit.StartMember(net, gamelan.Config{Floor: gamelan.NoFloor})
		server := kit.StartMember(net, gamelan.Config{Floor: gamelan.NoFloor})
		wallet := kit.StartMember(net, gamelan.Config{Floor: gamelan.NoFloor, Client: true})
		net.Connect(author.Node, server.Node)
		net.Connect(wallet.Node, server.Node)
		time.Sleep(10 * time.Second)
		if r := kit.StoreFor(t, author, wallet.PublicKey(), "letter"); r.Count(protocol.Confirmed) != 1 {
			t.Fatalf("got %v, want it written to the server", r.String())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := wallet.Heard.Len(); got != 1 {
			t.Fatalf("got %d messages, want the letter", got)
		}
		if s := kit.WantStored(t, "in the grace", server, 1); s.Delivered != 1 || s.Confirmed != 1 {
			t.Errorf("in the grace: got %+v, want it confirmed once", s)
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		kit.WantStored(t, "after the grace", server, 0)
	})
}
