// Chat tells all its friends the lines that are typed. In two terminals:
//
//	go run ./examples/chat -dir alice -listen /ip4/127.0.0.1/tcp/7001
//	go run ./examples/chat -dir bob -friend KEY::ADDRESS
//
// where the first prints what the second needs. Each side may be stopped and
// started again: it keeps its identity and its friends, and what was said to it
// meanwhile arrives. The end of the input (Ctrl-D) ends the chat.
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

// join starts a node that keeps connected to its friends: those that it
// remembers, and the one it is told of, if any.
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

// say tells one friend one line, however long the friend is away.
func say(ctx context.Context, node *gamelan.Node, friend identity.NodeID, line string) {
	for {
		outcome, err := node.Send(ctx, friend, []byte(line), gamelan.Resend())
		if err != nil || outcome.Kind == gamelan.Confirmed {
			return // delivered, or we are leaving
		}
		fmt.Printf("(%s is away, %q waits)\n", friend.Short(), line)
		time.Sleep(time.Second)
	}
}

// talk says what is typed to every friend; each has a queue of its own.
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
	case <-ctx.Done(): // Ctrl-C: what waits for friends who are away is not said
	}
	if err := node.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
}
