// Seedkad runs nodes of the key-value DHT in the network of the program that the DHT began
// as: its UDP protocol, on loopback. The first node is the way in for the others, or with
// -connect any node of such a network, also one of the old program. One node saves a value,
// and all of them find it. With -repl it is one node, with the old program's verbs as input.
//
//	go run github.com/gamelan-p2p/gamelan/examples/seedkad
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/examples/seedkad/internal/prompt"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/seed"
)

func main() {
	log.SetFlags(0)
	connect := flag.String("connect", "", "multiaddr of a node to join, such as /ip4/127.0.0.1/udp/12345; without it the nodes are a network of their own")
	query := flag.String("query", "", "also look for the value of this key")
	n := flag.Int("nodes", 5, "how many nodes to run")
	repl := flag.Bool("repl", false, "run one node alone, with verbs from standard input: help lists them, and the end of the input stops the node")
	listen := flag.String("listen", "/ip4/0.0.0.0/udp/12345", "with -repl, multiaddr of the socket; port 0 lets the system choose")
	flag.Parse()
	if *repl {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
		if err := prompt.Serve(ctx, *listen, os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, *n, *connect, *query); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, n int, connect, query string) (err error) {
	if n < 1 {
		return errors.New("give -nodes 1 or more")
	}
	nodes := make([]*seed.Service, n)
	for i := range nodes {
		if nodes[i], err = start(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, nodes[i].Stop(context.WithoutCancel(ctx))) }()
		if connect == "" { // the first node is the way in
			client, err := nodes[i].Client()
			if err != nil {
				return err
			}
			connect = string(client.Addresses()[0])
			fmt.Printf("node 1 is the way in, at %s\n", connect)
			continue
		}
		id, err := nodes[i].Connect(ctx, connect)
		if err != nil {
			return err
		}
		fmt.Printf("node %d has joined by %s, whose id is %s\n", i+1, connect, id.Short())
	}

	last := nodes[n-1]
	if err := last.Save(ctx, []byte("greeting"), []byte("Hello from the last node!")); err != nil {
		return err
	}
	for i, node := range nodes {
		if err := show(ctx, i+1, node, "greeting"); err != nil {
			return err
		}
	}
	if query != "" {
		return show(ctx, 1, nodes[0], query)
	}
	return nil
}

// start runs a node with a socket of its own.
func start(ctx context.Context) (*seed.Service, error) {
	socket, err := seed.UDP(seed.UDPOptions{Listen: "/ip4/127.0.0.1/udp/0"})
	if err != nil {
		return nil, err
	}
	// The defaults of the old program: SHA-1, 20 peers in a bucket, 3 requests at a time, …
	node := seed.New(seed.SHA1, seed.BucketSize, seed.Concurrency, seed.PeerTimeout, seed.MessageTimeout, seed.StorageTimeout)
	if err := node.RegisterGateway(socket); err != nil {
		return nil, err
	}
	return node, node.Start(ctx)
}

// show prints what a node finds. A node that was just met may not have answered yet, and on a
// busy machine none may answer in time, so it asks again until the context ends.
func show(ctx context.Context, number int, node *seed.Service, key string) error {
	for {
		value, err := node.Query(ctx, []byte(key))
		if (errors.Is(err, seed.ErrNotFound) || errors.Is(err, kad.ErrIsolated)) && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("node %d: %s: %w", number, key, err)
		}
		peers, err := node.NumberOfKnownPeers()
		fmt.Printf("node %d knows %d peers and finds %s: %q\n", number, peers, key, value)
		return err
	}
}
