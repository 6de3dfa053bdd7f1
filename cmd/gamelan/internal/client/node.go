package client

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Node asks how the node is.
func (c *Client) Node(ctx context.Context) (n inspect.Node, err error) {
	err = c.getJSON(ctx, "/v1/node", &n)
	return n, err
}

// DHT asks how the node takes part in the DHT.
func (c *Client) DHT(ctx context.Context) (d inspect.DHT, err error) {
	err = c.getJSON(ctx, "/v1/dht", &d)
	return d, err
}

// Settings asks for the settings that the node uses.
func (c *Client) Settings(ctx context.Context) (all []inspect.Setting, err error) {
	err = c.getJSON(ctx, "/v1/config", &all)
	return all, err
}

// Part is a part of the actor tree: what is below the actor Path, or all of it
// when that is empty, and Depth levels of it, or all of them below 0.
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

// Tree asks for a part of the actor tree.
func (c *Client) Tree(ctx context.Context, p Part) (*inspect.Tree, error) {
	t := new(inspect.Tree)
	err := c.getJSON(ctx, p.query("json"), t)
	return t, err
}

// DrawnTree has the node draw a part of the actor tree, for graphviz.
func (c *Client) DrawnTree(ctx context.Context, p Part) (io.ReadCloser, error) {
	res, err := c.get(ctx, p.query("dot"))
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Actor asks what the actor at path is doing.
func (c *Client) Actor(ctx context.Context, path string) (a inspect.Actor, err error) {
	err = c.getJSON(ctx, actorAt(path), &a)
	return a, err
}

// Stacks asks where the actor at path is, and where it failed last.
func (c *Client) Stacks(ctx context.Context, path string) (s inspect.Stacks, err error) {
	err = c.getJSON(ctx, actorAt(path)+"/stacks", &s)
	return s, err
}

func actorAt(path string) string {
	return "/v1/actors/" + (&url.URL{Path: strings.Trim(path, "/")}).EscapedPath()
}
