// Customprotocol has two nodes speak a protocol of their own on substreams. The
// second version of it is registered while the node runs; who opens a substream
// asks for that one first and falls back to the first version.
//
//	go run github.com/gamelan-p2p/gamelan/examples/customprotocol
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The protocol: a line in, a line back.
const (
	shout1 protocol.ID = "/example/shout/1" // in capitals
	shout2 protocol.ID = "/example/shout/2" // and with an exclamation mark
)

// shouter is the actor of both versions. It hears of every substream that a
// peer opens, and gives each to a task: an actor itself never waits.
type shouter struct{ served int }

func (a *shouter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case gamelan.SubstreamOpened:
		stream, ok := m.Stream.Take() // from here on it is ours
		if !ok {
			return
		}
		a.served++
		name := fmt.Sprintf("substream-%d", a.served)
		// The task owns the stream: it is closed when the task or the actor ends.
		supervisor.Go(c, name, stream, func(context.Context) error { return shout(stream, m.Protocol) })
	default:
		supervisor.Unhandled(c)
	}
}

// shout answers lines until the other side has no more. It ends its half before
// it returns: without CloseWrite the stream would be reset, and the answer with it.
func shout(s protocol.Stream, version protocol.ID) error {
	for lines := bufio.NewScanner(s); ; {
		if !lines.Scan() {
			return s.CloseWrite()
		}
		line := strings.ToUpper(lines.Text())
		if version == shout2 {
			line += "!"
		}
		if _, err := fmt.Fprintln(s, line); err != nil {
			return err
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
	newShouter := func(*gamelan.Node) actor.Actor { return new(shouter) }
	server, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithProtocol(shout1, newShouter))
	if err != nil {
		return err
	}
	defer server.Close(context.Background())
	client, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		return err
	}
	defer client.Close(context.Background())
	peer, err := client.Peers().AddSeed(ctx, server.Seed())
	if err != nil {
		return err
	}
	if err := ask(ctx, client, peer, "is anybody there"); err != nil {
		return err
	}
	fmt.Printf("The server learns %s while it runs.\n", shout2)
	if err := server.Register(ctx, shout2, newShouter); err != nil {
		return err
	}
	return ask(ctx, client, peer, "and now")
}

// ask opens a substream, says a line and prints the answer.
func ask(ctx context.Context, client *gamelan.Node, peer identity.NodeID, line string) error {
	stream, err := client.OpenStream(ctx, peer, shout2, shout1) // what we like best comes first
	if err != nil {
		return err
	}
	defer stream.Close()
	fmt.Fprintln(stream, line)
	if err := stream.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(stream)
	fmt.Printf("Speaking %s: %q is answered %q.\n", stream.Protocol, line, strings.TrimSpace(string(answer)))
	return err
}
