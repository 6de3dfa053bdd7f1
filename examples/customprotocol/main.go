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
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The protocol has two versions. In both the server answers each line with a line.
const (
	shout1 protocol.ID = "/example/shout/1" // the answer is in capitals
	shout2 protocol.ID = "/example/shout/2" // the answer also ends with an exclamation mark
)

// credits bounds what lines of peers hold in memory until the actor has handled them.
var credits = actors.NewCredits(0, 0) // 1 MiB for each peer, 64 MiB for all

// shouter is the actor of both versions. Tasks read and write, because an actor never waits. A panic
// on a line is logged with the peer that sent it.
type shouter struct{}

func (shouter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case gamelan.SubstreamOpened:
		actors.ReadFrames(c, m, credits, readLines)
	case actors.Frame: // one line
		answer := strings.ToUpper(string(m.Body))
		if m.Protocol == shout2 {
			answer += "!"
		}
		fmt.Fprintln(m, answer) // never waits; a peer that reads no answers is read no more
	case actors.FramesEnded:
		m.CloseWrite() // after all answers
	default:
		supervisor.Unhandled(c)
	}
}

// readLines gives the actor each line of a peer, of at most 64 KiB.
func readLines(_ context.Context, in *actors.FrameReader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := in.Deliver(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
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
	newShouter := func(*gamelan.Node) actor.Actor { return shouter{} }
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
