package gamelan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// WithInspector lets the owner of Config.DataDir inspect the running node:
//
//	gamelan tree --data-dir DIR
//
// The commands status, health, conns and peers work in the same way, and so does package
// inspect/client. The node serves the read-only API of package inspect on the Unix socket
// gamelan.sock in that directory, which only the directory's owner can open. Requests that would
// change the node are not served: that does control.Serve of inspect/control, instead of this
// option. The socket is open while the node's actors start, so that an actor that blocks Start
// can be found, and until the node has ended. Start fails if there is no data directory, or if
// its path is too long for a socket.
func WithInspector() Option {
	return func(o *options) error {
		o.inspector = true
		return nil
	}
}

// inspect begins to serve the API if the options ask for it.
func (b *builder) inspect(n *Node) (err error) {
	if !b.inspector {
		return nil
	}
	n.inspector, err = inspect.Serve(b.DataDir, inspect.Handler(n.options()), b.logger)
	if err != nil {
		return fmt.Errorf("gamelan: inspector: %w", err)
	}
	return nil
}

// inspectorGrace is how long requests under way may take after the node has ended.
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
