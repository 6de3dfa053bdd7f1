// Layer adds its own code to the two chains that DHT messages pass through. The outbound
// layer signs each message and stops messages that are too long. The inbound layer lets
// through only messages that one given author has signed.
//
//	go run github.com/gamelan-p2p/gamelan/examples/layer
package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

const (
	noteType = 1001 // message type of notes; types below 1,000 belong to the network
	longest  = 100  // maximum length of a note in bytes
)

// proper is an outbound layer that checks and signs each message, so that the code that
// sends need not do so.
func proper(next dht.SendHandler) dht.SendHandler {
	return func(m *dht.Outgoing) error {
		if len(m.Body) > longest {
			return fmt.Errorf("%d bytes are too long for a note", len(m.Body))
		}
		m.Sign = true
		return next(m)
	}
}

// only returns an inbound layer that lets through only messages signed by one writer,
// whichever peer has delivered them. Neither a layer nor an actor may wait, so the channel
// lines must have room.
func only(writer identity.PublicKey, lines chan<- string) dht.Layer {
	return func(next dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			if m.Origin == writer {
				return next(m)
			}
			lines <- "Bob's layer has stopped it."
			return dht.Verdict{Reason: dht.Stopped, Err: fmt.Errorf("signed by %s, who is not on the list", m.Origin)}
		}
	}
}

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	start := func(opts ...gamelan.Option) (*gamelan.Node, error) {
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}, Listen: []string{"/memory/0"}}
		return gamelan.Start(ctx, cfg, append(opts, gamelan.WithTransport(memory.Default().Transport()))...)
	}
	alice, err := start(gamelan.WithSendLayer(dht.BeforeSelect, proper))
	if err != nil {
		return err
	}
	defer alice.Close(context.Background())
	carol, err := start(gamelan.WithSendLayer(dht.BeforeSelect, proper))
	if err != nil {
		return err
	}
	defer carol.Close(context.Background())
	lines := make(chan string, 10)
	bob, err := start(
		// At AfterDedup the layer would also stop messages that Bob relays for others.
		gamelan.WithLayer(dht.BeforeDeliver, only(alice.PublicKey(), lines)),
		gamelan.WithType(noteType, gamelan.Handle(func(m dht.Received) { lines <- fmt.Sprintf("Bob reads %q.", m.Body) })))
	if err != nil {
		return err
	}
	defer bob.Close(context.Background())

	for _, n := range []struct {
		who  string
		from *gamelan.Node
		note string
	}{
		{"Alice", alice, "The rehearsal is at eight."},
		{"Carol", carol, "The rehearsal is off."},
		{"Alice", alice, strings.Repeat("Be on time. ", 10)},
	} {
		peer, err := n.from.Peers().AddSeed(ctx, bob.Seed())
		if err != nil {
			return err
		}
		report, err := n.from.DHT().Send(ctx, dht.Message{To: dht.Direct{Peer: peer}, Type: noteType, Body: []byte(n.note)})
		if err != nil {
			return err
		}
		fmt.Printf("%s's note: %v\n", n.who, &report)
		if !report.Failed() { // confirmed: Bob's multiplexer has read it, but his layer may still stop it
			fmt.Println(<-lines)
		}
	}
	return nil
}
