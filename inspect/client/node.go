package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Health asks whether the node works, at once. It also returns the report of an unhealthy node.
func (c *Client) Health(ctx context.Context) (inspect.HealthReport, error) {
	return c.check(ctx, "/healthz")
}

// Ready is Health for whether the node can serve others.
func (c *Client) Ready(ctx context.Context) (inspect.HealthReport, error) {
	return c.check(ctx, "/readyz")
}

func (c *Client) check(ctx context.Context, path string) (h inspect.HealthReport, err error) {
	res, err := c.look(ctx, path)
	if err != nil {
		return h, c.gone(ctx, err)
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		return h, c.refusal(res)
	}
	err = c.decode(ctx, res, &h)
	return h, err
}

// Node requests the state of the node: its identity, addresses, status and warnings.
func (c *Client) Node(ctx context.Context) (models.Node, error) {
	return get[models.Node](ctx, c, "/v1/node")
}

// Access requests how the node's API is reached over TCP. An older node, or one of a program, answers with
// [inspect.CodeNotFound].
func (c *Client) Access(ctx context.Context) (models.Access, error) {
	return get[models.Access](ctx, c, "/v1/inspect")
}

// Session requests what the token of a client over TCP may do.
func (c *Client) Session(ctx context.Context) (models.AccessSession, error) {
	return get[models.AccessSession](ctx, c, "/session")
}

// DHT requests the state of the node's DHT.
func (c *Client) DHT(ctx context.Context) (models.DHT, error) {
	return get[models.DHT](ctx, c, "/v1/dht")
}

// Settings requests the settings of a node that the command runs.
func (c *Client) Settings(ctx context.Context) ([]models.Setting, error) {
	all, _, err := list[models.Setting](ctx, c, "/v1/config", url.Values{})
	return all, err
}

// Shutdown begins an orderly stop of the node and returns at once.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.post(ctx, "/v1/shutdown", "text/plain", nil, nil)
}

// Part is a part of the actor tree: the actor at Path, or all actors if Path is empty, with
// Depth levels below, or all levels if Depth is negative.
type Part struct {
	Path  string
	Depth int
}

func (p Part) query(format string) string {
	q := url.Values{"format": {format}}
	if p.Path != "" {
		q.Set("path", p.Path)
	}
	if p.Depth >= 0 {
		q.Set("depth", fmt.Sprint(p.Depth))
	}
	return "/v1/tree?" + q.Encode()
}

// Tree requests a part of the actor tree.
func (c *Client) Tree(ctx context.Context, p Part) (*inspect.Tree, error) {
	t := new(inspect.Tree)
	err := c.get(ctx, p.query("json"), t)
	return t, err
}

// DrawnTree requests a drawing of a part of the actor tree, for Graphviz. The caller closes it.
func (c *Client) DrawnTree(ctx context.Context, p Part) (io.ReadCloser, error) {
	res, err := c.do(ctx, http.MethodGet, p.query("dot"), "", nil)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Actors lists all actors in the order of the tree.
func (c *Client) Actors(ctx context.Context) ([]inspect.Actor, error) {
	all, _, err := list[inspect.Actor](ctx, c, "/v1/actors", url.Values{})
	return all, err
}

// Failures lists the last failure of each actor, the newest first.
func (c *Client) Failures(ctx context.Context) ([]inspect.Failure, error) {
	all, _, err := list[inspect.Failure](ctx, c, "/v1/failures", url.Values{})
	return all, err
}

// DeadLetters lists the last messages that have reached no actor, the newest first.
func (c *Client) DeadLetters(ctx context.Context) ([]inspect.DeadLetter, error) {
	all, _, err := list[inspect.DeadLetter](ctx, c, "/v1/deadletters", url.Values{})
	return all, err
}

// Actor requests the description of the actor at path.
func (c *Client) Actor(ctx context.Context, path string) (inspect.Actor, error) {
	return get[inspect.Actor](ctx, c, actorAt(path))
}

// Stacks requests the stacks of the actor at path, and that of its last failure.
func (c *Client) Stacks(ctx context.Context, path string) (inspect.Stacks, error) {
	return get[inspect.Stacks](ctx, c, actorAt(path)+"/stacks")
}

func actorAt(path string) string {
	return "/v1/actors/" + (&url.URL{Path: strings.Trim(path, "/")}).EscapedPath()
}

// Drain makes the node make no new connections, or with off make them again.
func (c *Client) Drain(ctx context.Context, off bool) (models.Drain, error) {
	return act[models.Drain](ctx, c, "node", "drain", url.Values{"off": {fmt.Sprint(off)}}, nil)
}

// RestartActor makes the node start the actor at path anew. It returns when that has happened.
func (c *Client) RestartActor(ctx context.Context, path string) error {
	return c.Do(ctx, "actors", "restart", url.Values{"path": {path}}, nil, nil)
}

// StopActor makes the node stop the actor at path.
func (c *Client) StopActor(ctx context.Context, path string) error {
	return c.Do(ctx, "actors", "stop", url.Values{"path": {path}}, nil, nil)
}
