package gamelan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// WithInspector lets the owner of Config.DataDir look at the running node:
//
//	gamelan tree --data-dir DIR
//
// and in the same way status, health, conns and peers. It serves the read-only
// API of package inspect on the Unix socket gamelan.sock in that directory, which
// nobody but its owner can open, from when the node's actors begin to start, so that
// one that holds up Start can be seen, until the node has ended; what changes the node is not served. Start fails when there
// is no data directory, or its path is too long for a socket.
func WithInspector() Option {
	return func(o *options) error {
		o.inspector = true
		return nil
	}
}

// inspect begins to serve, if that was asked for.
func (b *builder) inspect(n *Node) (err error) {
	if !b.inspector {
		return nil
	}
	n.inspector, err = inspect.Serve(b.DataDir, inspect.Handler(n.options()))
	if err != nil {
		return fmt.Errorf("gamelan: inspector: %w", err)
	}
	return nil
}

// inspectorGrace is how long requests under way get when the node has ended.
const inspectorGrace = time.Second

func (n *Node) closeInspector() error {
	if n.inspector == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), inspectorGrace)
	defer cancel()
	return n.inspector.Close(ctx)
}

var errNoDataDir = badConfig("DataDir", errors.New("WithInspector puts its socket there; set a directory, or serve inspect.Handler(node.Inspection().Options) yourself"))
