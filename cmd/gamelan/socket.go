package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// maxSocketPath is the longest path of a Unix socket that every system takes,
// in bytes.
const maxSocketPath = 103

// listen opens the socket of this directory, for its owner only. It takes the
// place of one that an earlier node left behind; the caller holds the lock, so
// nobody serves that one. The socket appears under its name only when its mode
// is right.
func (d dataDir) listen() (net.Listener, error) {
	nursery, err := os.MkdirTemp(d.path, ".s")
	if err != nil {
		return nil, unusable(d.path, err)
	}
	defer os.RemoveAll(nursery)
	path := filepath.Join(nursery, "s")
	if n := max(len(path), len(d.socket())); n > maxSocketPath {
		return nil, failed("data_dir", "choose a shorter one with --data-dir", "the path of %s is too long for the node's socket by %s", d.path, plural(uint64(n-maxSocketPath), "byte"))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, unusable(d.socket(), err)
	}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(path, 0o600); err == nil {
		err = os.Rename(path, d.socket())
	}
	if err != nil {
		l.Close()
		return nil, unusable(d.socket(), err)
	}
	return l, nil
}

// newToken draws the token of this run and writes it for clients to read.
func (d dataDir) newToken() (inspect.Token, error) {
	t, err := inspect.NewToken(rand.Reader)
	if err != nil {
		return t, err
	}
	if err := renameio.WriteFile(d.token(), []byte(t.Reveal()+"\n"), 0o600); err != nil {
		return t, unusable(d.token(), err)
	}
	return t, nil
}

// api is the API of a running node on the socket of its data directory.
type api struct {
	dir    dataDir
	server *http.Server
	served chan error
}

// serve begins to answer on the socket of d. The caller holds the lock of d.
func (d dataDir) serve(o inspect.Options, actions inspect.Actions) (*api, error) {
	token, err := d.newToken()
	if err != nil {
		return nil, err
	}
	mutate, err := inspect.Mutations(token, actions)
	if err != nil {
		return nil, err
	}
	l, err := d.listen()
	if err != nil {
		os.Remove(d.token())
		return nil, err
	}
	a := &api{d, &http.Server{
		Handler:           inspect.Join(inspect.Handler(o), mutate),
		ReadHeaderTimeout: 10 * time.Second,
	}, make(chan error, 1)}
	go func() { a.served <- a.server.Serve(l) }()
	return a, nil
}

// close ends every request and removes the socket and the token. Requests that
// do not end by themselves, such as those of listeners, get until ctx ends.
func (a *api) close(ctx context.Context) error {
	if a.server.Shutdown(ctx) != nil {
		a.server.Close()
	}
	err := <-a.served
	os.Remove(a.dir.socket())
	os.Remove(a.dir.token())
	if err != http.ErrServerClosed {
		return fmt.Errorf("gamelan: the socket in %s failed: %w", a.dir.path, err)
	}
	return nil
}
