package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// Server is the API of a running node on the socket of its data directory.
type Server struct {
	dir    nodedir.Dir
	server *inspect.Server
}

// Serve begins to answer on the socket of d. The caller holds the lock of d.
// Errors of the server go to l.
func Serve(d nodedir.Dir, o inspect.Options, actions inspect.Actions, l *slog.Logger) (*Server, error) {
	token, err := d.NewToken()
	if err != nil {
		return nil, err
	}
	mutate, err := inspect.Mutations(token, actions)
	if err != nil {
		return nil, err
	}
	s, err := inspect.Serve(d.Path, inspect.Join(inspect.Handler(o), mutate), l)
	if err == nil {
		return &Server{d, s}, nil
	}
	os.Remove(d.TokenFile())
	if long := (*inspect.PathTooLongError)(nil); errors.As(err, &long) {
		return nil, failure.New("data_dir", "choose a shorter one with --data-dir", "the path of %s is too long for the node's socket by %s", d.Path, inspect.Count(uint64(long.Over), "byte"))
	}
	return nil, nodedir.Unusable(d.Socket(), err)
}

// Close ends every request and removes the socket and the token. It waits until ctx ends for
// requests that do not end by themselves, such as those of listeners.
func (s *Server) Close(ctx context.Context) error {
	err := s.server.Close(ctx)
	os.Remove(s.dir.TokenFile())
	return err
}
