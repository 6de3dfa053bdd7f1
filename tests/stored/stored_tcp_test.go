package stored

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestStoreForwardOverTCP has the reference's scenario of store and forward over loopback TCP:
// A and B are connected, C is away. A broadcasts two encrypted messages for C. C comes, connects
// to both, and gets each of the two once, from A, and the event that they were received.
//
// conforms: dht 141
func TestStoreForwardOverTCP(t *testing.T) {
	a, b := kit.StartOnLoopback(t, gamelan.Config{}), kit.StartOnLoopback(t, gamelan.Config{})
	kit.DialOnLoopback(t, a, b)
	secret := gamelantest.Secret(17)
	want := []string{"first", "second"}
	for _, body := range want {
		r, err := a.DHT().Send(t.Context(), dht.Message{
			To: dht.Broadcast{}, Destination: secret.PublicKey(), Encrypt: true, Type: kit.TextType, Body: []byte(body),
		})
		if err != nil || r.Count(protocol.Confirmed) != 1 {
			t.Fatalf("%s: got %v, %v, want it written to B", body, r.String(), err)
		}
	}
	gamelantest.Eventually(t, kit.Patience, "B to store both", func() bool {
		return b.DHT().StoreForward(t.Context()).Server.Messages == len(want)
	})

	heard := gamelantest.NewCollector()
	n, err := gamelan.Start(t.Context(), gamelan.Config{
		Secret: secret, Client: true, DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor,
	}, kit.Quiet, gamelan.WithType(kit.TextType, heard.New))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.WithoutCancel(t.Context())) })
	received := make(chan struct{}, 2)
	go func() {
		for e := range n.Events(t.Context()) {
			if _, ok := e.Value.(dht.StoredMessagesReceived); ok {
				received <- struct{}{}
			}
		}
	}()
	c := &gamelantest.Node{Node: n}
	kit.DialOnLoopback(t, c, b)
	kit.DialOnLoopback(t, c, a)
	gamelantest.Eventually(t, kit.Patience, "C to get both", func() bool { return heard.Len() >= len(want) })
	if got := heard.Bodies(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, m := range heard.Delivered() {
		if m.From != a.PublicKey() || !m.Stored {
			t.Errorf("got %+v, want a stored message of A", m)
		}
	}
	select {
	case <-received:
	case <-time.After(kit.Patience):
		t.Error("no event says that the stored messages were received")
	}
}
