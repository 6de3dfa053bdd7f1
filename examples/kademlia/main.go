// Kademlia runs 50 nodes of the key-value DHT in one process. One of them publishes a value,
// all others find it, and the program shows the longest of their lookups: each step as a line,
// and with -svg as a picture. It ends with exit code 1 if a node does not find the
// value:
//
//	go run github.com/gamelan-p2p/gamelan/examples/kademlia -svg lookup.svg
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/gamelan-p2p/gamelan/examples/kademlia/picture"
	"github.com/gamelan-p2p/gamelan/kad"
)

func main() {
	log.SetFlags(0)
	nodes := flag.Int("nodes", 50, "number of nodes, at least 2")
	svg := flag.String("svg", "", "file for a picture of the longest lookup; none if empty")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, *nodes, *svg); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, n int, svg string) error {
	if n < 2 {
		return fmt.Errorf("a network needs two nodes; got -nodes %d", n)
	}
	host, err := kad.NewStandalone(kad.StandaloneOptions{})
	if err != nil {
		return err
	}
	defer host.Close(context.WithoutCancel(ctx))
	clients, err := start(ctx, host, n)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d nodes are in the network.\n", n)
	report, err := clients[0].Put(ctx, []byte("A value that one node publishes and all others find."))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Node 1 has published %s…: %d nodes store it.\n", report.Key.Short(), report.Accepted)
	longest := picture.Lookup{Of: clients[1]}
	for i, c := range clients[1:] {
		l := picture.Lookup{Of: c}
		record, err := c.Get(ctx, report.Key, kad.Into(&l.Result), kad.Traced(func(s kad.Step) { l.Steps = append(l.Steps, s) }))
		if err != nil {
			return fmt.Errorf("node %d: %w", i+2, err)
		}
		if len(l.Steps) > len(longest.Steps) {
			longest = l
		}
		if i == 0 {
			fmt.Fprintf(w, "Node 2 has found it: %s\n", record.Value)
		}
	}
	fmt.Fprintf(w, "All %d others have found it.\n", n-1)
	return longest.Show(w, svg, clients, report)
}

// start starts n clients, which enter the network by the first of them, and waits until each
// has looked for its own place.
func start(ctx context.Context, host kad.Host, n int) (clients []*kad.Client, err error) {
	hub := kad.NewHub(kad.HubOptions{Delay: 2 * time.Millisecond})
	for i := range n {
		c := kad.Config{
			Name: fmt.Sprintf("node-%d", i+1), PublicKey: kad.MemoryKey(uint64(i + 1)), Networks: []kad.Network{hub.Network()},
		}
		if i > 0 {
			c.Bootstrap = clients[0].Addresses()
		}
		client, err := kad.Start(ctx, host, c)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client)
	}
	for _, c := range clients {
		if err := ready(ctx, c); err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// ready waits until a client has entered the network.
func ready(ctx context.Context, c *kad.Client) error {
	events := c.Events(ctx) // before the question, so that no change is missed
	if c.State() == kad.Ready {
		return nil
	}
	for e := range events {
		if e.Kind == kad.StateChanged && e.State == kad.Ready {
			return nil
		}
	}
	return fmt.Errorf("%s has not entered the network: %s", c.Name(), c.State())
}
