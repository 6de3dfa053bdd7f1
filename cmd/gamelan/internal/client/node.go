package client

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Node requests the state of the node.
func (c *Client) Node(ctx context.Context) (n models.Node, err error) {
	err = c.getJSON(ctx, "/v1/node", &n)
	return n, err
}

// DHT requests the state of the node's DHT.
func (c *Client) DHT(ctx context.Context) (d models.DHT, err error) {
	err = c.getJSON(ctx, "/v1/dht", &d)
	return d, err
}

// Settings requests the settings of the node.
func (c *Client) Settings(ctx context.Context) (all []models.Setting, err error) {
	err = c.getJSON(ctx, "/v1/config", &all)
	return all, err
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
	err := c.getJSON(ctx, p.query("json"), t)
	return t, err
}

// DrawnTree requests a drawing of a part of the actor tree, for Graphviz.
func (c *Client) DrawnTree(ctx context.Context, p Part) (io.ReadCloser, error) {
	res, err := c.get(ctx, p.query("dot"))
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Actor requests the description of the actor at path.
func (c *Client) Actor(ctx context.Context, path string) (a inspect.Actor, err error) {
	err = c.getJSON(ctx, actorAt(path), &a)
	return a, err
}

// Stacks requests the stacks of the actor at path, and that of its last failure.
func (c *Client) Stacks(ctx context.Context, path string) (s inspect.Stacks, err error) {
	err = c.getJSON(ctx, actorAt(path)+"/stacks", &s)
	return s, err
}

func actorAt(path string) string {
	return "/v1/actors/" + (&url.URL{Path: strings.Trim(path, "/")}).EscapedPath()
}
