// Package client sends requests to a running node over its API: it finds the node, waits
// for it, sends the token, and turns errors into failures for the user.
package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// Client sends requests to the running node of one data directory.
type Client struct {
	dir    nodedir.Dir
	http   *http.Client
	wait   waiting // for a node that is starting
	answer limit
}

// Patience is how long a node may take to answer, if a user does not give it another time.
const Patience = 5 * time.Second

// limit is for a node that stands still.
type limit struct {
	most time.Duration // until an answer; 0: Patience
	flag string        // that changes it
	over *atomic.Pointer[tooLong]
}

// tooLong is that the node did not answer within the limit.
type tooLong struct {
	at  time.Time
	err error
}

// tooLongHolds is how long no request waits again: a verb makes several.
const tooLongHolds = time.Second

// AnswerWithin sets how long the node may take to answer, whatever the requests take then. flag
// is the one with which a user changes it.
func (c *Client) AnswerWithin(most time.Duration, flag string) {
	c.answer.most, c.answer.flag = most, flag
}

// answers asks the node for something that it answers at once, unless it stands still: a request
// that may take long would wait for ever.
func (c *Client) answers(ctx context.Context) error {
	if v := c.answer.over.Load(); v != nil && time.Since(v.at) < tooLongHolds {
		return v.err
	}
	within, cancel := context.WithTimeout(ctx, cmp.Or(c.answer.most, Patience))
	defer cancel()
	r, err := http.NewRequestWithContext(within, http.MethodGet, "http://gamelan/v1", nil)
	if err != nil {
		return err
	}
	res, err := c.http.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection is used again
		return res.Body.Close()
	}
	err = c.unreachable(within, err)
	if failure.Is(err, Silent) && ctx.Err() == nil {
		c.answer.over.Store(&tooLong{time.Now(), err})
	}
	return err
}

// Silent is the kind of the failure for a node that stands still.
const Silent = "silent"

// New returns a client of the node in d.
func New(d nodedir.Dir) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Socket())
	}
	return &Client{
		dir: d, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}},
		answer: limit{over: new(atomic.Pointer[tooLong])},
	}
}

// get requests path. It returns only successful answers.
func (c *Client) get(ctx context.Context, path string) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, path, "", nil)
}

// getJSON requests path and decodes the answer into v.
func (c *Client) getJSON(ctx context.Context, path string, v any) error {
	res, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	return c.decode(ctx, res, v)
}

// post makes the node execute the action at path and decodes the answer into v.
func (c *Client) post(ctx context.Context, path string, body io.Reader, v any) error {
	res, err := c.do(ctx, http.MethodPost, path, "text/plain", body)
	if err != nil {
		return err
	}
	return c.decode(ctx, res, v)
}

// decode reads the body of an answer into v.
func (c *Client) decode(ctx context.Context, res *http.Response, v any) error {
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return c.gone(ctx, err)
	}
	return nil
}

// Health asks whether the node works. It also returns the report of an unhealthy node.
func (c *Client) Health(ctx context.Context) (h inspect.HealthReport, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gamelan/healthz", nil)
	if err != nil {
		return h, err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return h, c.unreachable(ctx, err)
	}
	err = c.decode(ctx, res, &h)
	return h, err
}

// do makes one request. A method that changes something carries the token.
func (c *Client) do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	c.Await(ctx)
	if err := c.answers(ctx); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://gamelan"+path, body)
	if err != nil {
		return nil, err
	}
	if method != http.MethodGet {
		token, err := c.dir.ReadToken()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, c.notRunning(err)
		}
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		r.Header.Set("Content-Type", contentType)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, refusal(res)
}

// refusal turns an unsuccessful answer into a failure.
func refusal(res *http.Response) error {
	var e struct{ Error inspect.Error }
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&e); err != nil || e.Error.Message == "" {
		return failure.New("node", "check that gamelan and the node are of the same version", "the node answered %s", res.Status)
	}
	return failureOf(&e.Error)
}

// notPermitted is the kind of the failure for a node of another user.
const notPermitted = "not_permitted"

// unreachable returns the failure for a node that could not be reached.
func (c *Client) unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return c.silent(err)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return failure.Unreachable(notPermitted, "run gamelan as its owner", "the node in %s belongs to another user", c.dir.Path).Because(err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return c.notRunning(err)
	}
	return c.gone(ctx, err)
}

func (c *Client) notRunning(err error) error {
	if c.dir.Embedded() {
		if _, err := os.Stat(c.dir.Socket()); err == nil {
			return failure.New("read_only", "use the program for this", "a program runs the node in %s, and other processes can only inspect it", c.dir.Path).Because(err)
		}
		return failure.Unreachable("no_inspector", "give its gamelan.Start the option gamelan.WithInspector()",
			"a program runs a node in %s without an inspector", c.dir.Path).Because(err)
	}
	return failure.Unreachable("not_running", fmt.Sprintf("start one with %q", c.dir.Command("node")), "no node is running in %s", c.dir.Path).Because(err)
}

// silent returns the failure for a node that does not answer.
func (c *Client) silent(err error) error {
	hint := "see what it does with \"kill -QUIT PID\", which writes its stacks"
	if c.answer.flag != "" {
		hint += ", or give it more time with " + c.answer.flag
	}
	return failure.Unreachable(Silent, hint, "the node in %s does not answer in time", c.dir.Path).Because(err)
}

// gone returns the failure for a node that ended during a request.
func (c *Client) gone(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return c.silent(err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return failure.Unreachable("node_gone", fmt.Sprintf("look at what it printed last, or start it again with %q", c.dir.Command("node")), "the node went away").Because(err)
}
