package client_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// A program asks a node for its actors, and for a section.
func ExampleClient() {
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: dir, Listen: []string{gamelan.ListenNowhere}}, gamelan.WithInspector())
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close(ctx)

	c := client.New(dir, client.Options{})
	tree, err := c.Tree(ctx, client.Part{Path: "node/conns", Depth: 0})
	if err != nil {
		log.Fatal(err)
	}
	var section models.Node
	if err := c.Section(ctx, "node", &section); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tree.Branches[0].Actor.Name, section.NodeID == node.ID().String())

	_, err = c.Peer(ctx, "0011223344")
	fmt.Println(client.CodeOf(err))
	_, err = c.Dial(ctx, "0011223344")
	fmt.Println(client.CodeOf(err))
	_, err = client.New(os.TempDir()+"/nobody", client.Options{}).Node(ctx)
	fmt.Println(client.CodeOf(err))
	// Output:
	// conns true
	// not_found
	// read_only
	// not_running
}
