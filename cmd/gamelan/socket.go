package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// newToken draws the token of this run and writes it for clients to read.
func (d dataDir) newToken() (inspect.Token, error) {
	t, err := inspect.NewToken(rand.Reader)
	if err != nil {
		return t, err
	}
	if err := replaceFile(d.token(), strings.NewReader(t.Reveal()+"\n")); err != nil {
		return t, unusable(d.token(), err)
	}
	return t, nil
}

// api is the API of a running node on the socket of its data directory.
type api struct {
	dir    dataDir
	server *inspect.Server
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
	s, err := inspect.Serve(d.path, inspect.Join(inspect.Handler(o), mutate))
	if err == nil {
		return &api{d, s}, nil
	}
	os.Remove(d.token())
	if long := (*inspect.PathTooLongError)(nil); errors.As(err, &long) {
		return nil, failed("data_dir", "choose a shorter one with --data-dir", "the path of %s is too long for the node's socket by %s", d.path, inspect.Count(uint64(long.Over), "byte"))
	}
	return nil, unusable(d.socket(), err)
}

// close ends every request and removes the socket and the token. Requests that
// do not end by themselves, such as those of listeners, get until ctx ends.
func (a *api) close(ctx context.Context) error {
	err := a.server.Close(ctx)
	os.Remove(a.dir.token())
	return err
}
