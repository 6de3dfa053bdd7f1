// Chat sends each line that you type to all friends. Run it in two terminals:
//
//	go run ./examples/chat -dir alice -listen /ip4/127.0.0.1/tcp/7001
//	go run ./examples/chat -dir bob -friend KEY::ADDRESS
//
// The first program prints the KEY::ADDRESS for the second. You can stop and restart each
// side: it keeps its identity and its friends, and lines that were sent to it meanwhile
// arrive. The end of the input (Ctrl-D) ends the chat.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
)

// join starts a node that stays connected to its friends: those that it remembers, and
// the given friend, if any.
func join(ctx context.Context, dir, listen, friend string, show func(gamelan.Received)) (*gamelan.Node, error) {
	cfg := gamelan.Config{DataDir: dir, Listen: []string{listen}}
	if friend != "" {
		cfg.Seeds = []string{friend}
	}
	node, err := gamelan.Start(ctx, cfg, gamelan.WithHandler(gamelan.Handle(show)))
	if err != nil {
		return nil, err
	}
	for peer := range node.Peers().All() {
		node.Protect(peer.ID, "friend")
	}
	return node, nil
}

// say sends one line to one friend, and tries again until the friend is back.
func say(ctx context.Context, node *gamelan.Node, friend identity.NodeID, line string) {
	for {
		outcome, err := node.Send(ctx, friend, []byte(line), gamelan.Resend())
		if err != nil || outcome.Kind == gamelan.Confirmed {
			return // confirmed, or the program is ending
		}
		fmt.Printf("(%s is away, %q waits)\n", friend.Short(), line)
		time.Sleep(time.Second)
	}
}

// talk sends each line of the input to every friend. Each friend has its own queue.
func talk(ctx context.Context, node *gamelan.Node) {
	queues := make(map[identity.NodeID]chan string)
	var busy sync.WaitGroup
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for friend := range node.Peers().All() {
			if queues[friend.ID] == nil {
				queue := make(chan string, 1000)
				queues[friend.ID] = queue
				busy.Go(func() {
					for line := range queue {
						say(ctx, node, friend.ID, line)
					}
				})
			}
			queues[friend.ID] <- lines.Text()
		}
	}
	for _, queue := range queues {
		close(queue)
	}
	busy.Wait()
}

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "chat", "directory of the identity and of the friends")
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "address to listen on")
	friend := flag.String("friend", "", "friend to join, as KEY::ADDRESS")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	node, err := join(ctx, *dir, *listen, *friend, func(m gamelan.Received) {
		fmt.Printf("%s: %s\n", m.Peer.Short(), m.Body)
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("A friend joins you with: go run ./examples/chat -dir NAME -friend %s\n", node.Seed())
	done := make(chan struct{})
	go func() {
		defer close(done)
		talk(ctx, node)
	}()
	select {
	case <-done:
	case <-ctx.Done(): // Ctrl-C: lines that wait for friends who are away are lost
	}
	if err := node.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
}
