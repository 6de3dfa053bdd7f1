// Tor runs two nodes that meet over onion services: neither shows its IP address, to the
// other or to anybody. Each node has a key for its onion service; Tor publishes it, and the
// nodes know each other by their onion addresses alone.
//
// With a Tor that runs here (apt-get install tor; ControlPort 9051 and CookieAuthentication 1
// in /etc/tor/torrc):
//
//	go run github.com/gamelan-p2p/gamelan/examples/tor
//
// With a private Tor network on this machine, without any other network:
//
//	go run ./tests/onion/tornet/run go run ./examples/tor
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	heard := make(chan gamelan.Received, 1)
	alice, err := start(ctx, os.Getenv("TOR_CONTROL"), os.Getenv("TOR_COOKIE"))
	if err != nil {
		return err
	}
	defer alice.Close(context.Background())
	bob, err := start(ctx, os.Getenv("TOR_CONTROL2"), os.Getenv("TOR_COOKIE2"),
		gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { heard <- m })))
	if err != nil {
		return err
	}
	defer bob.Close(context.Background())

	for _, n := range []*gamelan.Node{alice, bob} {
		if err := published(ctx, n); err != nil {
			return err
		}
	}
	// A seed has Bob's key and his only address.
	status, _ := bob.Tor()
	if _, err := alice.Peers().AddSeed(ctx, fmt.Sprintf("%s::%s", bob.PublicKey(), status.Onion)); err != nil {
		return err
	}
	begin := time.Now()
	outcome, err := alice.Send(ctx, bob.ID(), []byte("Hello, Bob!"))
	if err != nil {
		return err
	}
	if err := outcome.AsError(); err != nil {
		return fmt.Errorf("message of Alice: %w", err)
	}
	m := <-heard
	fmt.Printf("Bob heard %q from %s, %.1f s after Alice began.\n", m.Body, m.Peer, time.Since(begin).Seconds())
	for _, c := range bob.Connections() {
		fmt.Printf("All that Bob knows of where Alice is: %s\n", c.Addr)
	}
	return nil
}

// start starts a node behind the Tor with this control port. Without a data directory it has
// another onion address each time.
func start(ctx context.Context, control, cookie string, opts ...gamelan.Option) (*gamelan.Node, error) {
	host, port, _ := strings.Cut(cmp.Or(control, "127.0.0.1:9051"), ":")
	config := gamelan.Config{Transport: gamelan.TransportTor}
	config.Tor.ControlAddress = "/ip4/" + host + "/tcp/" + port
	if cookie != "" {
		config.Tor.ControlAuth = "safecookie=@" + cookie
	}
	return gamelan.Start(ctx, config, append(opts, gamelan.WithLogger(slog.New(slog.DiscardHandler)))...)
}

// published waits until the node tells others the address of its onion service: that is when
// they can find it.
func published(ctx context.Context, n *gamelan.Node) error {
	for {
		if status, _ := n.Tor(); !status.Advertised.IsZero() {
			fmt.Printf("%s is %s\n", n.ID(), status.Onion)
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
