package tests

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestStoreForwardOverTCP has the reference's scenario of store and forward over loopback TCP:
// A and B are connected, C is away. A broadcasts two encrypted messages for C. C comes, connects
// to both, and gets each of the two once, from A, and the event that they were received.
//
// conforms: dht 141
func TestStoreForwardOverTCP(t *testing.T) {
	a, b := startOnLoopback(t, gamelan.Config{}), startOnLoopback(t, gamelan.Config{})
	dialOnLoopback(t, a, b)
	secret := gamelantest.Secret(17)
	want := []string{"first", "second"}
	for _, body := range want {
		r, err := a.DHT().Send(t.Context(), dht.Message{
			To: dht.Broadcast{}, Destination: secret.PublicKey(), Encrypt: true, Type: textType, Body: []byte(body),
		})
		if err != nil || r.Count(protocol.Confirmed) != 1 {
			t.Fatalf("%s: got %v, %v, want it written to B", body, r.String(), err)
		}
	}
	gamelantest.Eventually(t, patience, "B to store both", func() bool {
		return b.DHT().StoreForward(t.Context()).Server.Messages == len(want)
	})

	heard := gamelantest.NewCollector()
	n, err := gamelan.Start(t.Context(), gamelan.Config{
		Secret: secret, Client: true, DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor,
	}, quiet, gamelan.WithType(textType, heard.New))
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
	dialOnLoopback(t, c, b)
	dialOnLoopback(t, c, a)
	gamelantest.Eventually(t, patience, "C to get both", func() bool { return heard.Len() >= len(want) })
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
	case <-time.After(patience):
		t.Error("no event says that the stored messages were received")
	}
}
