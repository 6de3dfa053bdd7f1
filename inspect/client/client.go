package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// Patience is how long a node may take to answer, without another time in the options.
const Patience = 5 * time.Second

// Options configure a client. The zero value is ready.
type Options struct {
	// Answer is how long a node may take to answer a short question, which comes before each
	// request. It tells a node that stands still from one that is at work. 0: Patience.
	Answer time.Duration
	// Wait is how long the first request waits for a node that is just starting. 0: it does not wait.
	Wait time.Duration
	// Waiting is called before the client begins to wait, and returns for how long. nil: for Wait.
	Waiting func() time.Duration
}

// Client sends requests to one node. It holds no connection that must be
// closed. It may be used from any goroutine.
type Client struct {
	dir    string        // "" for one that is asked over TCP
	url    string        // of that one
	host   string        // where its URL leads to
	given  inspect.Token // for it
	base   string        // of the URLs of requests
	o      Options
	http   *http.Client
	waited *sync.Once                // the client waits once; nil: it does not wait
	silent *atomic.Pointer[standing] // shared with copies of the client
}

// standing is that a node did not answer in time.
type standing struct {
	at  time.Time
	err error
}

// standsFor is how long no request waits again: a caller makes several.
const standsFor = time.Second

// idle is how long a connection without a request is kept.
const idle = 10 * time.Second

// idleMost is how many such connections are kept: a page asks several things at once.
const idleMost = 16

// New returns a client of the node whose data directory is dir. It makes no request.
func New(dir string, o Options) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, inspect.SocketName))
	}
	return &Client{
		dir: dir, base: "http://gamelan", o: o, waited: new(sync.Once), silent: new(atomic.Pointer[standing]),
		http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, IdleConnTimeout: idle, MaxIdleConnsPerHost: idleMost}},
	}
}

// answers asks the node for something that it answers at once, unless it stands still: a request
// that may take long would wait for ever.
func (c *Client) answers(ctx context.Context) error {
	if v := c.silent.Load(); v != nil && time.Since(v.at) < standsFor {
		return v.err
	}
	within, cancel := context.WithTimeout(ctx, cmp.Or(c.o.Answer, Patience))
	defer cancel()
	res, err := c.look(within, "/v1")
	if err == nil && c.dir == "" && res.StatusCode >= http.StatusBadRequest {
		return c.refusal(res)
	}
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection is used again
		return res.Body.Close()
	}
	err = c.gone(within, err)
	if CodeOf(err) == CodeSilent && ctx.Err() == nil {
		c.silent.Store(&standing{time.Now(), err})
	}
	return err
}

// look makes one request that needs no other before it.
func (c *Client) look(ctx context.Context, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	if c.dir == "" {
		r.Header.Set("Authorization", "Bearer "+c.given.Reveal())
	}
	return c.http.Do(r)
}

// refusal returns the error that an answer is.
func (c *Client) refusal(res *http.Response) error {
	defer res.Body.Close()
	var refused struct{ Error inspect.Error }
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode == http.StatusBadRequest && strings.Contains(string(body), "HTTP request to an HTTPS server") { // as net/http has it
		return c.fail(CodeForeign, ErrScheme)
	}
	if err := json.Unmarshal(body, &refused); err != nil || refused.Error.Message == "" {
		return c.fail(CodeForeign, errors.New(res.Status))
	}
	return &refused.Error
}

// get requests path and decodes the answer into v.
func (c *Client) get(ctx context.Context, path string, v any) error {
	res, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	return c.decode(ctx, res, v)
}

// post makes the node carry out the action at path and decodes the answer into v, which may be nil.
func (c *Client) post(ctx context.Context, path, kind string, body io.Reader, v any) error {
	res, err := c.do(ctx, http.MethodPost, path, kind, body)
	if err != nil {
		return err
	}
	if v == nil {
		return res.Body.Close()
	}
	return asked(c.decode(ctx, res, v))
}

// decode reads the body of an answer into v.
func (c *Client) decode(ctx context.Context, res *http.Response, v any) error {
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return c.gone(ctx, err)
	}
	return nil
}

// do makes one request. A method that changes something carries the token, and so does every request over TCP.
func (c *Client) do(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	c.Await(ctx)
	if err := c.answers(ctx); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if method != http.MethodGet || c.dir == "" {
		token, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	switch {
	case method != http.MethodGet:
		r.Header.Set("Content-Type", kind)
	case kind != "":
		r.Header.Set("Accept", kind)
	}
	res, err := c.http.Do(r)
	if err != nil && method != http.MethodGet {
		return nil, asked(c.gone(ctx, err))
	} else if err != nil {
		return nil, c.gone(ctx, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	return nil, c.refusal(res)
}

// maxToken bounds the file of the token, in bytes.
const maxToken = 4 << 10

// token reads the token that the running node has written.
func (c *Client) token(ctx context.Context) (t inspect.Token, err error) {
	if c.dir == "" {
		return c.given, nil
	}
	var b []byte
	dir, err := datadir.Look(c.dir) // may belong to another user: root may ask any node
	if err == nil {
		defer dir.Close()
		b, _, err = dir.ReadFile(inspect.TokenName, maxToken, false)
	}
	if err == nil {
		t, err = inspect.ParseToken(string(b))
	}
	switch {
	case err == nil:
		return t, nil
	case !errors.Is(err, fs.ErrNotExist):
		return t, c.fail(CodeToken, err)
	case c.absent(ctx): // it has ended meanwhile
		return t, c.fail(CodeNotRunning, err)
	}
	return t, c.fail(CodeReadOnly, err)
}

// Sections returns the names of all sections.
func (c *Client) Sections(ctx context.Context) ([]string, error) {
	all, _, err := list[string](ctx, c, "/v1/sections", url.Values{})
	return all, err
}

// Section decodes the section of that name into v, for instance one that the program has added.
func (c *Client) Section(ctx context.Context, name string, v any) error {
	return c.get(ctx, "/v1/sections/"+url.PathEscape(name), v)
}

// Figures returns the values of a section, each with its label, unit and rank, so that any section can
// be drawn.
func (c *Client) Figures(ctx context.Context, section string) ([]models.Figure, error) {
	all, _, err := list[models.Figure](ctx, c, "/v1/sections/"+url.PathEscape(section)+"/figures", url.Values{})
	return all, err
}

// Verbs returns what can be done on the node with [Client.Do]. An older node answers with
// [inspect.CodeNotFound].
func (c *Client) Verbs(ctx context.Context) ([]inspect.VerbInfo, error) {
	all, _, err := list[inspect.VerbInfo](ctx, c, "/v1/verbs", url.Values{})
	return all, err
}

// get requests a value.
func get[T any](ctx context.Context, c *Client, path string) (v T, err error) {
	err = c.get(ctx, path, &v)
	return v, err
}

// act is Do with its answer.
func act[T any](ctx context.Context, c *Client, section, verb string, params url.Values, body io.Reader) (v T, err error) {
	err = c.Do(ctx, section, verb, params, body, &v)
	return v, err
}

// Do makes the node carry out a verb of a section, and decodes the answer into v, which may be nil.
func (c *Client) Do(ctx context.Context, section, verb string, params url.Values, body io.Reader, v any) error {
	return c.post(ctx, verbAt(section, verb, params), "text/plain", body, v)
}

// DoEach is Do for a verb that answers with any number of values: it calls each with every one, as it
// comes. An error of each ends it.
func (c *Client) DoEach(ctx context.Context, section, verb string, params url.Values, body io.Reader, each func(json.RawMessage) error) error {
	return stream(ctx, c, verbAt(section, verb, params), "text/plain", body, func(v json.RawMessage, _ bool) error { return each(v) })
}

func verbAt(section, verb string, params url.Values) string {
	path := "/v1/" + url.PathEscape(section) + "/" + url.PathEscape(verb)
	if len(params) > 0 {
		path += "?" + params.Encode()
	}
	return path
}

// tryAgain is how long a client waits between two attempts to find a node that is starting.
const tryAgain = 20 * time.Millisecond

// AtOnce returns a client of the same node that does not wait for it.
func (c *Client) AtOnce() *Client {
	d := *c
	d.waited = nil
	return &d
}

// Await returns when the node answers on its socket, when Options.Wait is over, or when waiting
// cannot help; the next request then reports the error. A client waits only once; others
// that call it meanwhile wait for the end of that.
func (c *Client) Await(ctx context.Context) {
	if c.waited != nil && c.o.Wait > 0 {
		c.waited.Do(func() { c.await(ctx) })
	}
}

func (c *Client) await(ctx context.Context) {
	if !c.absent(ctx) {
		return
	}
	wait := c.o.Wait
	if c.o.Waiting != nil {
		wait = c.o.Waiting()
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for c.absent(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(tryAgain):
		}
	}
}

// absent reports whether no process serves the socket, or the address.
func (c *Client) absent(ctx context.Context) bool {
	if c.dir == "" {
		within, cancel := context.WithTimeout(ctx, remoteDial)
		defer cancel()
		conn, err := new(net.Dialer).DialContext(within, "tcp", c.host)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(c.dir, inspect.SocketName))
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
