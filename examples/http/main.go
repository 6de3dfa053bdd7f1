// Http serves web pages from a node, and asks for one from another node: net/http runs over streams
// as it is. The host of a URL is the key of a peer, and each side knows the other's key.
//
//	go run github.com/gamelan-p2p/gamelan/examples/http
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

const web = "/example/http/1" // the protocol that carries HTTP between the two

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	server, err := gamelan.Start(ctx, gamelan.Config{})
	if err != nil {
		return err
	}
	defer server.Close(context.Background())
	listener, err := gamelan.Listener(ctx, server, web)
	if err != nil {
		return err
	}
	pages := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The peer has proved that it has this key: no password is needed.
		fmt.Fprintf(w, "Hello, %s, here is %s.\n", r.RemoteAddr[:8], r.URL.Path)
	})}
	go func() { _ = pages.Serve(listener) }() // until Close
	defer pages.Close()

	client, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		return err
	}
	defer client.Close(context.Background())
	if _, err := client.Peers().AddSeed(ctx, server.Seed()); err != nil {
		return err
	}
	browser := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return client.DialContext(ctx, web, address)
		},
	}}
	fmt.Printf("The client is %s.\n", client.PublicKey().String()[:8])
	answer, err := browser.Get("http://" + server.PublicKey().String() + "/index.html")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	fmt.Print(answer.Status, ": ", string(page))
	return err
}
