package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// SocketName is the name of the Unix socket in a node's data directory, on which the node
// answers commands such as gamelan tree.
const SocketName = "gamelan.sock"

// TokenName is the name of the file with the running node's token in its data directory. A node that
// can only be inspected has none.
const TokenName = "token"

// ReadTokenName is the name of the file with the token of those who look at the node over TCP and change
// nothing.
const ReadTokenName = "token.read"

// maxSocketPath is the longest path of a Unix socket that every system takes,
// in bytes.
const maxSocketPath = 103

// PathTooLongError reports a directory whose path leaves no room for a socket.
type PathTooLongError struct {
	Dir  string
	Over int // bytes too many
}

// Error says how much too long the path is.
func (e *PathTooLongError) Error() string {
	return fmt.Sprintf("inspect: the path of %s is %d bytes too long for a socket; choose a shorter one", e.Dir, e.Over)
}

// Listen opens the socket of the data directory dir, for its owner only. It replaces a
// socket that an earlier node left behind, so the caller must make sure that no other
// node runs in dir. The socket gets its name only after its mode is set. The error is a
// [PathTooLongError] or the system's.
func Listen(dir string) (net.Listener, error) {
	nursery, err := os.MkdirTemp(dir, ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(nursery)
	path, name := filepath.Join(nursery, "s"), filepath.Join(dir, SocketName)
	if n := max(len(path), len(name)); n > maxSocketPath {
		return nil, &PathTooLongError{dir, n - maxSocketPath}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(path, 0o600); err == nil {
		err = os.Rename(path, name)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// idleFor is how long a connection without a request is kept.
const idleFor = 2 * time.Minute

// socketCheck is how often a server looks whether its socket is still there. Programs that
// clean directories up remove sockets that nobody has opened for days.
const socketCheck = time.Second

// Server answers on the socket of one data directory.
type Server struct {
	dir, socket string
	http        *http.Server
	served      chan error
	closing     chan struct{}
}

// Serve answers with h on the socket of dir until Close. It makes the socket again when it
// is removed. Errors of the server, such as that no connection can be accepted, go to l: the
// first at once, and then once a minute the last one with the number of further ones.
func Serve(dir string, h http.Handler, l *slog.Logger) (*Server, error) {
	socket, err := Listen(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		dir: dir, socket: filepath.Join(dir, SocketName),
		http:   &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleFor, ErrorLog: log.New(&serverLog{to: l}, "", 0)},
		served: make(chan error, 1), closing: make(chan struct{}),
	}
	go s.serve(socket)
	return s, nil
}

// serve answers on l, and on a new socket each time that the last one is removed. Requests
// that run stay.
func (s *Server) serve(l net.Listener) {
	look := time.NewTicker(socketCheck)
	defer look.Stop()
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(l) }()
	for {
		select {
		case err := <-ended:
			s.served <- err
			return
		case <-s.closing: // nothing is made any more
			s.served <- <-ended
			return
		case <-look.C:
		}
		if _, err := os.Lstat(s.socket); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		next, err := Listen(s.dir)
		if err != nil {
			continue // the directory may come back
		}
		l.Close()
		<-ended //nolint:errcheck // the end of the old socket was asked for
		l = next
		go func() { ended <- s.http.Serve(next) }()
	}
}

// serverLog logs the errors of a server.
type serverLog struct {
	to *slog.Logger

	mu   sync.Mutex
	said time.Time
	n    int // errors since then
}

// serverLogEvery is the shortest time between two records.
const serverLogEvery = time.Minute

// Write logs one error, or counts it.
func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.said.IsZero() || now.Sub(l.said) >= serverLogEvery {
		l.to.Warn("an error of the API's server", "err", strings.TrimSpace(string(b)), "n", l.n+1)
		l.said, l.n = now, 0
	} else {
		l.n++
	}
	return len(b), nil
}

// Close ends every request and removes the socket. It waits until ctx ends for requests
// that do not end by themselves, such as those of listeners.
func (s *Server) Close(ctx context.Context) error {
	close(s.closing)
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	err := <-s.served
	os.Remove(s.socket)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("inspect: the socket %s failed: %w", s.socket, err)
}
