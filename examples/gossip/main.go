// Gossip spreads news among nodes on loopback TCP, each of which is connected to a few
// others. One node sends the news. A node that receives the news for the first time sends
// it on to all its peers except the one it came from. The program prints when each node
// received the news, and draws a picture:
//
//	go run github.com/gamelan-p2p/gamelan/examples/gossip -svg gossip.svg
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/examples/gossip/wave"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// newsType is the message type of the news. Types below 1,000 belong to the network.
const newsType = 1001

// news returns a message for all connected nodes except those given. The DHT relays only
// encrypted messages, so the actor that receives the news sends it on. Without a signature
// the message has the same bytes from each node, so each node's DHT drops the copies.
func news(body []byte, except ...identity.NodeID) dht.Message {
	return dht.Message{To: dht.Propagate{Exclude: except}, Type: newsType, Body: body}
}

// gossip is the actor that receives the news at a node, once.
type gossip struct {
	node *gamelan.Node
	wave *wave.Wave
}

func (g gossip) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case dht.Received:
		g.wave.Heard(g.node.ID(), m.Peer)
		g.node.DHT().SendFrom(c, 0, news(m.Body, m.Peer)) // SendFrom does not wait
	case dht.Sent:
		g.wave.Told(m.Report.Count(protocol.Confirmed))
	}
}

func main() {
	log.SetFlags(0)
	nodes := flag.Int("nodes", 20, "number of nodes")
	links := flag.Int("links", 2, "number of others that each node is connected to; more connect to it")
	seed := flag.Uint64("seed", 1, "another seed makes another network")
	svg := flag.String("svg", "", "file for the picture; none if empty")
	flag.Parse()
	w, err := wave.New(*nodes, *links, *seed)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, w); err != nil {
		log.Fatal(err)
	}
	if err := w.Show(os.Stdout, *svg); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w *wave.Wave) error {
	system := gamelan.NewSystem(slog.Default()) // one for all nodes
	nodes := make([]*gamelan.Node, len(w.Nodes))
	for i := range nodes {
		var err error
		nodes[i], err = gamelan.Start(ctx, gamelan.Config{DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor},
			gamelan.WithSystem(system),
			gamelan.WithType(newsType, func(n *gamelan.Node) actor.Actor { return gossip{n, w} }),
			gamelan.WithLayer(dht.BeforeVerify, func(next dht.Handler) dht.Handler { // this layer sees copies too
				return func(m *dht.Incoming) dht.Verdict {
					v := next(m)
					if v.Reason == dht.Duplicate {
						w.Dropped()
					}
					return v
				}
			}))
		if err != nil {
			return err
		}
		defer nodes[i].Close(context.Background())
		w.Name(i, nodes[i].ID())
	}
	for _, link := range w.Links {
		peer, err := nodes[link[0]].Peers().AddSeed(ctx, nodes[link[1]].Seed())
		if err != nil {
			return err
		}
		if _, err := nodes[link[0]].Dial(ctx, peer); err != nil {
			return err
		}
	}
	for i, node := range nodes {
		if err := node.WaitOnline(ctx, w.Degree(i)); err != nil {
			return err
		}
	}
	fmt.Printf("%d nodes, %d connections. Node 1 has news.\n\n", len(nodes), len(w.Links))
	w.Begin()
	report, err := nodes[0].DHT().Send(ctx, news([]byte("The king is dead, long live the king!")))
	if err != nil {
		return err
	}
	w.Told(report.Count(protocol.Confirmed))
	return w.Wait(ctx)
}
