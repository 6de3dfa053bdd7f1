package client

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"sync"
	"syscall"
	"time"
)

// waiting configures how a client waits for a node that is just starting: a command that is
// pasted together with "gamelan node &" runs before the node's socket exists. The zero
// value does not wait.
type waiting struct {
	most time.Duration                    // from the first attempt on
	note func(format string, args ...any) // tells the user
	once *sync.Once                       // the client waits once; nil: it does not wait
}

// tryAgain is how long a client waits between two attempts.
const tryAgain = 20 * time.Millisecond

// WaitFor makes the client wait up to most for a node that is just starting; the client
// calls note to tell the user.
func (c *Client) WaitFor(most time.Duration, note func(format string, args ...any)) {
	c.wait = waiting{most: most, note: note, once: new(sync.Once)}
}

// AtOnce returns a client of the same node that does not wait for it.
func (c *Client) AtOnce() *Client { return &Client{dir: c.dir, http: c.http, answer: c.answer} }

// Await returns when the node answers on its socket, when the time is over, or when waiting
// cannot help; the next request then reports the error. A client waits only once; others
// that call it meanwhile wait for the end of that.
func (c *Client) Await(ctx context.Context) {
	if c.wait.once != nil && c.wait.most > 0 {
		c.wait.once.Do(func() { c.await(ctx) })
	}
}

func (c *Client) await(ctx context.Context) {
	if !c.absent(ctx) || c.dir.Embedded() { // a program without an inspector never has a socket
		return
	}
	c.wait.note("Waiting up to %s for the node in %s: none answers there yet.", c.wait.most, c.dir.Path)
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

// absent reports whether no process serves the socket.
func (c *Client) absent(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.dir.Socket())
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
