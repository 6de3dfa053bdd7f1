package control

import (
	"context"
	"crypto/rand"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/replace"
)

// Server is the API of a running node on the socket of its data directory.
type Server struct {
	token  string // its file
	server *inspect.Server
}

// Serve begins to answer on the socket of the data directory dir, and writes the token there. A node
// that has the directory open must be that of o and a, and must not have gamelan.WithInspector, which
// has the same socket. Errors of the server go to l. The error is an [*inspect.PathTooLongError], an
// [*fs.PathError] with the path of the token, or that of the socket.
func Serve(dir string, o inspect.Options, a inspect.Actions, l *slog.Logger) (*Server, error) {
	token, err := inspect.NewToken(rand.Reader)
	if err != nil {
		return nil, err
	}
	o.Verbs = a.Verbs
	mutate, err := inspect.Mutations(token, a)
	if err != nil {
		return nil, err
	}
	s := &Server{token: filepath.Join(dir, inspect.TokenName)}
	if err := replace.File(s.token, strings.NewReader(token.Reveal()+"\n")); err != nil {
		return nil, &fs.PathError{Op: "write", Path: s.token, Err: err}
	}
	if s.server, err = inspect.Serve(dir, inspect.Join(inspect.Handler(o), mutate), l); err != nil {
		os.Remove(s.token)
		return nil, err
	}
	return s, nil
}

// Close ends every request and removes the socket and the token. It waits until ctx ends for
// requests that do not end by themselves, such as those of listeners.
func (s *Server) Close(ctx context.Context) error {
	err := s.server.Close(ctx)
	os.Remove(s.token)
	return err
}
