package client

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Peer requests the node's record of one peer.
func (c *Client) Peer(ctx context.Context, peer string) (p models.Peer, err error) {
	err = c.getJSON(ctx, "/v1/peers/"+url.PathEscape(peer), &p)
	return p, err
}

// AddPeer makes the node add the peer in KEY::ADDRESS, as a seed.
func (c *Client) AddPeer(ctx context.Context, seed string) (done api.Peer, err error) {
	err = c.post(ctx, "/v1/peers", strings.NewReader(seed), &done)
	return done, err
}

// Remember makes the node add the peer in KEY::ADDRESS, which does not become a seed.
func (c *Client) Remember(ctx context.Context, given string) (api.Peer, error) {
	return toPeer[api.Peer](ctx, c, given, "remember", nil)
}

// Forget makes the node forget a peer.
func (c *Client) Forget(ctx context.Context, peer string) (api.Peer, error) {
	return toPeer[api.Peer](ctx, c, peer, "forget", nil)
}

// Dial makes the node connect to a peer.
func (c *Client) Dial(ctx context.Context, peer string) (api.Peer, error) {
	return toPeer[api.Peer](ctx, c, peer, "dial", nil)
}

// Ping makes the node measure the round trip to a peer. limit bounds the dial and the
// answer together; 0 bounds the answer alone, to api.PingTimeout.
func (c *Client) Ping(ctx context.Context, peer string, limit time.Duration) (api.Pong, error) {
	v := url.Values{}
	if limit > 0 {
		v.Set("timeout", limit.String())
	}
	return toPeer[api.Pong](ctx, c, peer, "ping", v)
}

// Disconnect makes the node close the connection to a peer cleanly.
func (c *Client) Disconnect(ctx context.Context, peer string) (api.Peer, error) {
	return toPeer[api.Peer](ctx, c, peer, "disconnect", nil)
}

// Ban makes the node ban a peer. A peer on the allow list is not banned.
func (c *Client) Ban(ctx context.Context, peer string, d time.Duration, reason string) (api.Peer, error) {
	return toPeer[api.Peer](ctx, c, peer, "ban", url.Values{"for": {d.String()}, "reason": {reason}})
}

// Unban makes the node lift the ban of a peer.
func (c *Client) Unban(ctx context.Context, peer string) (api.Peer, error) {
	return toPeer[api.Peer](ctx, c, peer, "unban", nil)
}

// Why requests the explanation of the node's choices about a peer.
func (c *Client) Why(ctx context.Context, peer string) (api.Why, error) {
	return toPeer[api.Why](ctx, c, peer, "why", nil)
}

// toPeer makes the node execute an action on one peer that it knows.
func toPeer[T any](ctx context.Context, c *Client, peer, verb string, params url.Values) (answer T, err error) {
	query := ""
	if len(params) > 0 {
		query = "?" + params.Encode()
	}
	err = c.post(ctx, "/v1/peers/"+url.PathEscape(peer)+":"+verb+query, nil, &answer)
	return answer, err
}

// ExportPeers passes all peer records to write. An error of reading them takes precedence
// over the error of write.
func (c *Client) ExportPeers(ctx context.Context, write func(io.Reader) error) error {
	res, err := c.get(ctx, "/v1/peers:export")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	in := &watched{r: res.Body}
	err = write(in)
	if in.err != nil {
		return c.gone(ctx, in.err)
	}
	return err
}

// watched keeps the error that ended reading, to tell it from an error of writing.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// ImportPeers makes the node import peers from an export.
func (c *Client) ImportPeers(ctx context.Context, r io.Reader) (done api.Imported, err error) {
	err = c.post(ctx, "/v1/peers:import", r, &done)
	return done, err
}
