package memory_test

import (
	"context"
	"fmt"
	"io"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// Two nodes talk over a slow link that is cut in the end.
func ExampleNetwork() {
	ctx := context.Background()
	network := memory.NewNetwork()
	network.SetLink(memory.Link{Latency: time.Millisecond})

	alice, bob := network.Transport(), network.Transport()
	listener, err := bob.Listen(ctx, ma.StringCast("/memory/7"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	dialled, err := alice.Dial(ctx, ma.StringCast("/memory/7"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dialled.Close()
	accepted, err := listener.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer accepted.Close()

	fmt.Fprint(dialled, "hello")
	hello := make([]byte, 5)
	io.ReadFull(accepted, hello)
	fmt.Printf("%s\n", hello)

	fmt.Println(network.Cut(listener.Multiaddr(), nil), "cut")
	_, err = accepted.Read(hello)
	fmt.Println(err)

	_, err = alice.Dial(ctx, ma.StringCast("/memory/8"))
	fmt.Println(err)
	// Output:
	// hello
	// 1 cut
	// read memory /memory/7->/memory/0: connection reset by peer
	// dial /memory/8: address not available; check that the peer is running and listens on this address
}
