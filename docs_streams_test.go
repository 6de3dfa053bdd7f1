package gamelan_test

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/gamelan-p2p/gamelan"
)

// The Go blocks of docs/streams.md, as they stand there.

func docsHTTP(ctx context.Context, node *gamelan.Node, pages http.Handler) error {
	listener, err := gamelan.Listener(ctx, node, "/example/http/1")
	if err != nil {
		return err
	}
	return http.Serve(listener, pages) // r.RemoteAddr is the caller's public key
}

func docsBrowse(node *gamelan.Node, key string) (*http.Response, error) {
	browser := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return node.DialContext(ctx, "/example/http/1", address)
		},
	}}
	answer, err := browser.Get("http://" + key + "/index.html")
	return answer, err
}

func docsStreams(ctx context.Context) (*gamelan.Node, error) {
	node, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithStreams("/example/copy/1", func(ctx context.Context, s *gamelan.Stream) error {
		_, err := io.Copy(s, s) // s.Peer and s.Key say whose stream it is
		return err
	}))
	return node, err
}

var _ = []any{docsHTTP, docsBrowse, docsStreams}
