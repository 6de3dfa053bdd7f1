// Customprotocol runs two nodes that speak their own protocol on substreams. The server
// registers the second version of the protocol while it runs. The client asks for the
// second version first and falls back to the first one.
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

// The protocol has two versions. In both the server answers each line with a line.
const (
	shout1 protocol.ID = "/example/shout/1" // the answer is in capitals
	shout2 protocol.ID = "/example/shout/2" // the answer also ends with an exclamation mark
)

// shouter is the actor of both versions. It receives a message for every substream that a
// peer opens, and gives each substream to a task, because an actor itself never waits.
type shouter struct{ served int }

func (a *shouter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case gamelan.SubstreamOpened:
		stream, ok := m.Stream.Take() // from here on the actor owns the stream
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

// shout answers lines until the other side sends no more. It closes its half of the stream
// before it returns: without CloseWrite the stream would be reset, and the answer lost.
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

// ask opens a substream, sends a line and prints the answer.
func ask(ctx context.Context, client *gamelan.Node, peer identity.NodeID, line string) error {
	stream, err := client.OpenStream(ctx, peer, shout2, shout1) // the preferred version comes first
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
