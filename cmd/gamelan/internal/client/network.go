package client

import (
	"context"
	"net/url"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Network requests how well the node has found its network.
func (c *Client) Network(ctx context.Context) (n models.Network, err error) {
	err = c.getJSON(ctx, "/v1/network", &n)
	return n, err
}

// Join makes the node announce itself, and returns the report when each receiver has the
// announcement or was given up.
func (c *Client) Join(ctx context.Context) (r models.Report, err error) {
	err = c.post(ctx, "/v1/network/join", nil, &r)
	return r, err
}

// Discover makes the node search for the holder of a key, for at most limit if that is not
// zero.
func (c *Client) Discover(ctx context.Context, key string, limit time.Duration) (p models.Peer, err error) {
	q := url.Values{"key": {key}}
	if limit > 0 {
		q.Set("for", limit.String())
	}
	err = c.post(ctx, "/v1/network/discover?"+q.Encode(), nil, &p)
	return p, err
}

// Sync makes the node ask others for the peers that they know.
func (c *Client) Sync(ctx context.Context) (s models.Synced, err error) {
	err = c.post(ctx, "/v1/network/sync", nil, &s)
	return s, err
}
