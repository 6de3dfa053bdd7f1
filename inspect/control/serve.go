package control

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/replace"
)

// Server is the API of a running node on the socket of its data directory.
type Server struct {
	file    string // of the token, which Close removes; "": it is kept
	token   inspect.Token
	handler http.Handler
	server  *inspect.Server
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
	path := filepath.Join(dir, inspect.TokenName)
	if err := replace.File(path, strings.NewReader(token.Reveal()+"\n")); err != nil {
		return nil, &fs.PathError{Op: "write", Path: path, Err: err}
	}
	s, err := serve(dir, token, o, a, l)
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	s.file = path
	return s, nil
}

// ServeKept is Serve with the token that the directory has: other machines go on with it when the node starts
// again. Without one it makes one. Close leaves it.
func ServeKept(dir string, o inspect.Options, a inspect.Actions, l *slog.Logger) (*Server, error) {
	token, err := KeptToken(dir, inspect.TokenName)
	if err != nil {
		return nil, err
	}
	return serve(dir, token, o, a, l)
}

// maxToken bounds the file of a token, in bytes.
const maxToken = 4 << 10

// KeptToken returns the token in the file of that name of a data directory. If there is none, or only others'
// than this user's, or what is no token, it makes a new one and writes it, for the owner alone. The error is an
// [*fs.PathError] with the path of the file.
func KeptToken(dir, name string) (t inspect.Token, err error) {
	defer func() {
		if err != nil {
			err = &fs.PathError{Op: "use", Path: filepath.Join(dir, name), Err: err}
		}
	}()
	d, err := datadir.Look(dir)
	if err != nil {
		return t, err
	}
	defer d.Close()
	b, info, err := d.ReadFile(name, maxToken, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil: // another token would lock out whoever has this one
		return t, err
	default:
		if err := d.CheckKey(name, info); err != nil {
			return t, err
		}
		if t, err := inspect.ParseToken(string(b)); err == nil {
			return t, nil
		}
	}
	if t, err = inspect.NewToken(rand.Reader); err != nil {
		return t, err
	}
	return t, d.WriteFile(name, []byte(t.Reveal()+"\n"))
}

// serve answers on the socket, with a token whose file has it already.
func serve(dir string, token inspect.Token, o inspect.Options, a inspect.Actions, l *slog.Logger) (*Server, error) {
	o.Verbs = a.Verbs
	mutate, err := inspect.Mutations(token, a)
	if err != nil {
		return nil, err
	}
	s := &Server{token: token, handler: inspect.Join(inspect.Handler(o), mutate)}
	if s.server, err = inspect.Serve(dir, s.handler, l); err != nil {
		return nil, err
	}
	return s, nil
}

// Token returns the token that a request must carry to change the node.
func (s *Server) Token() inspect.Token { return s.token }

// Handler returns what answers on the socket, for a program that serves it elsewhere as well. A server that is
// not this one must find out itself who may ask: see [inspect.Checked].
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends every request and removes the socket and the token. It waits until ctx ends for
// requests that do not end by themselves, such as those of listeners.
func (s *Server) Close(ctx context.Context) error {
	err := s.server.Close(ctx)
	if s.file != "" {
		os.Remove(s.file)
	}
	return err
}
