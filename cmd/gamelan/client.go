package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// client talks to the running node of one data directory.
type client struct {
	dir  dataDir
	http *http.Client
	wait waiting // for a node that is starting
}

func newClient(d dataDir) *client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket())
	}
	return &client{dir: d, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}}}
}

// get asks for path; the answer is a success.
func (c *client) get(ctx context.Context, path string) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, path, "", nil)
}

// getJSON asks for path and decodes the answer into v.
func (c *client) getJSON(ctx context.Context, path string, v any) error {
	res, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return c.gone(ctx, err)
	}
	return nil
}

// post has the node do what is at path and decodes the answer into v.
func (c *client) post(ctx context.Context, path string, body io.Reader, v any) error {
	res, err := c.do(ctx, http.MethodPost, path, "text/plain", body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return c.gone(ctx, err)
	}
	return nil
}

// health asks whether the node works; that it does not is an answer, too.
func (c *client) health(ctx context.Context) (h inspect.HealthReport, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gamelan/healthz", nil)
	if err != nil {
		return h, err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return h, c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		return h, c.gone(ctx, err)
	}
	return h, nil
}

// do makes one request. A method that changes something carries the token.
func (c *client) do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	c.await(ctx)
	r, err := http.NewRequestWithContext(ctx, method, "http://gamelan"+path, body)
	if err != nil {
		return nil, err
	}
	if method != http.MethodGet {
		token, err := c.dir.readToken()
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

// refusal makes a failure of an answer that is none.
func refusal(res *http.Response) error {
	var e struct{ Error inspect.Error }
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&e); err != nil || e.Error.Message == "" {
		return failed("node", "check that gamelan and the node are of the same version", "the node answered %s", res.Status)
	}
	return failed(e.Error.Code, e.Error.Hint, "%s", e.Error.Message)
}

// isCode tells whether the node refused with this code.
func isCode(err error, code string) bool {
	f := (*failure)(nil)
	return errors.As(err, &f) && f.kind == code
}

// unreachable says why the node could not be asked.
func (c *client) unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return c.silent(err)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return &failure{exitUnreachable, "not_permitted", fmt.Sprintf("the node in %s belongs to somebody else", c.dir.path), "run gamelan as its owner", err}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return c.notRunning(err)
	}
	return c.gone(ctx, err)
}

func (c *client) notRunning(err error) error {
	if c.dir.embedded() {
		if _, err := os.Stat(c.dir.socket()); err == nil {
			return &failure{exitFailed, "read_only", "a program runs the node in " + c.dir.path + ", and it can only be looked at from outside", "have the program do this", err}
		}
		return &failure{exitUnreachable, "no_inspector", "a program runs a node in " + c.dir.path + " without an inspector", "give its gamelan.Start the option gamelan.WithInspector()", err}
	}
	return &failure{exitUnreachable, "not_running", "no node is running in " + c.dir.path, fmt.Sprintf("start one with %q", c.dir.command("node")), err}
}

// silent says that a node is there but does not answer.
func (c *client) silent(err error) error {
	return &failure{exitUnreachable, "silent", "the node in " + c.dir.path + " does not answer in time", "see what it does with \"kill -QUIT PID\", which writes its stacks, or give it more time with --timeout", err}
}

// gone says that the node ended while it was being asked.
func (c *client) gone(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return c.silent(err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &failure{exitUnreachable, "node_gone", "the node went away", fmt.Sprintf("look at what it printed last, or start it again with %q", c.dir.command("node")), err}
}

// maxToken bounds the file of the token, in bytes.
const maxToken = 4 << 10

// readToken reads the token that the running node has written.
func (d dataDir) readToken() (inspect.Token, error) {
	var b []byte
	dir, err := datadir.Look(d.path) // also of another user, whose node root may ask
	if err == nil {
		defer dir.Close()
		b, _, err = dir.ReadFile(filepath.Base(d.token()), maxToken, false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return inspect.Token{}, newClient(d).notRunning(err)
	}
	if err != nil {
		return inspect.Token{}, unusable(d.token(), err)
	}
	t, err := inspect.ParseToken(string(b))
	if err != nil {
		return inspect.Token{}, &failure{exitFailed, "token", d.token() + " is damaged", "start the node again: it writes a new one", err}
	}
	return t, nil
}
