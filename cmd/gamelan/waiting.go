package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// waiting is how a client waits for a node that is just starting: a command that
// is pasted together with "gamelan node &" comes before the node's socket. The
// zero value does not wait.
type waiting struct {
	most time.Duration                    // from the first attempt on
	note func(format string, args ...any) // tells the user
	over bool                             // it was waited once
}

// tryAgain is how long a client waits between two attempts.
const tryAgain = 20 * time.Millisecond

// client makes a client of the node in the data directory that waits for a node
// that is just starting, and says so.
func (a *app) client() *client {
	c := newClient(a.dir)
	c.wait = waiting{most: a.wait, note: a.note}
	return c
}

// await returns when the node answers on its socket, when it cannot be waited
// for any longer, or when waiting would not help: the request that follows says
// what is wrong. It waits once in the life of a client.
func (c *client) await(ctx context.Context) {
	if c.wait.over || c.wait.most <= 0 {
		return
	}
	c.wait.over = true
	if !c.absent(ctx) || c.dir.embedded() { // a program without an inspector never has a socket
		return
	}
	c.wait.note("Waiting up to %s for the node in %s: none answers there yet.", c.wait.most, c.dir.path)
	ctx, cancel := context.WithTimeout(ctx, c.wait.most)
	defer cancel()
	for c.absent(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(tryAgain):
		}
	}
}

// absent tells whether nobody serves the socket.
func (c *client) absent(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.dir.socket())
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
