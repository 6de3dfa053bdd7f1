package client

import (
	"context"
	"net/url"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// StoreForward requests what the node stores for others, and what it asked others for.
func (c *Client) StoreForward(ctx context.Context) (s models.StoreForward, err error) {
	err = c.getJSON(ctx, "/v1/saf", &s)
	return s, err
}

// FetchStored makes the node ask peers for the messages that they store for it; without
// peers the node chooses them.
func (c *Client) FetchStored(ctx context.Context, peers []string) (f models.StoreForwardFetched, err error) {
	q := url.Values{}
	if len(peers) > 0 {
		q.Set("peers", strings.Join(peers, ","))
	}
	err = c.post(ctx, "/v1/saf/fetch?"+q.Encode(), nil, &f)
	return f, err
}

// PurgeStored makes the node delete the messages that it stores for the receiver to, or, if
// that is "", for all.
func (c *Client) PurgeStored(ctx context.Context, to string) (p models.StoreForwardPurged, err error) {
	q := url.Values{"all": {"true"}}
	if to != "" {
		q = url.Values{"to": {to}}
	}
	err = c.post(ctx, "/v1/saf/purge?"+q.Encode(), nil, &p)
	return p, err
}
