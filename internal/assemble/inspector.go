package assemble

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Inspector serves a node's data until Close.
type Inspector interface {
	Close(ctx context.Context) error
}

// ServeInspector serves the data of a node on the socket of its data directory. Only the option
// that asks for an inspector names this function: so the linker leaves the HTTP server out of a
// program without one.
func ServeInspector(dir string, data inspect.Options, l *slog.Logger) (Inspector, error) {
	s, err := inspect.Serve(dir, inspect.Handler(data), l)
	if err != nil {
		return nil, fmt.Errorf("gamelan: inspector: %w", err) // not an interface that holds a nil pointer
	}
	return s, nil
}
