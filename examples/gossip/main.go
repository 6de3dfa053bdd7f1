// Gossip spreads news: nodes on loopback TCP are each connected to a few others,
// one says something, and whoever hears it for the first time passes it on to all
// but the one it came from. It prints who got it when, and draws it:
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

// newsType is the type of our messages. Those below 1,000 are the network's own.
const newsType = 1001

// news is a message for the connected nodes but one. The DHT relays nothing that
// is in clear: the actor that hears it decides. As it is not signed, it is the
// same message whoever passes it on, and the DHT of each node drops the copies.
func news(body []byte, except ...identity.NodeID) dht.Message {
	return dht.Message{To: dht.Propagate{Exclude: except}, Type: newsType, Body: body}
}

// gossip is the actor of a node that hears the news, once.
type gossip struct {
	node *gamelan.Node
	wave *wave.Wave
}

func (g gossip) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case dht.Received:
		g.wave.Heard(g.node.ID(), m.Peer)
		g.node.DHT().SendFrom(c, 0, news(m.Body, m.Peer)) // does not wait
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
			gamelan.WithLayer(dht.BeforeVerify, func(next dht.Handler) dht.Handler { // sees copies too
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
