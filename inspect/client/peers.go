package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Peer requests the node's record of one peer.
func (c *Client) Peer(ctx context.Context, peer string) (models.Peer, error) {
	return get[models.Peer](ctx, c, "/v1/peers/"+url.PathEscape(peer))
}

// AddPeer makes the node add the peer in KEY::ADDRESS, as a seed.
func (c *Client) AddPeer(ctx context.Context, seed string) (done models.PeerDone, err error) {
	err = c.post(ctx, "/v1/peers", "text/plain", strings.NewReader(seed), &done)
	return done, err
}

// Remember makes the node add the peer in KEY::ADDRESS, which does not become a seed.
func (c *Client) Remember(ctx context.Context, given string) (models.PeerDone, error) {
	return toPeer[models.PeerDone](ctx, c, given, "remember", nil)
}

// Forget makes the node forget a peer.
func (c *Client) Forget(ctx context.Context, peer string) (models.PeerDone, error) {
	return toPeer[models.PeerDone](ctx, c, peer, "forget", nil)
}

// Dial makes the node connect to a peer.
func (c *Client) Dial(ctx context.Context, peer string) (models.PeerDone, error) {
	return toPeer[models.PeerDone](ctx, c, peer, "dial", nil)
}

// Ping makes the node measure the round trip to a peer. limit bounds the dial and the
// answer together; 0 bounds the answer alone, to 10 s.
func (c *Client) Ping(ctx context.Context, peer string, limit time.Duration) (models.Pong, error) {
	v := url.Values{}
	if limit > 0 {
		v.Set("timeout", limit.String())
	}
	return toPeer[models.Pong](ctx, c, peer, "ping", v)
}

// Disconnect makes the node close the connection to a peer cleanly.
func (c *Client) Disconnect(ctx context.Context, peer string) (models.PeerDone, error) {
	return toPeer[models.PeerDone](ctx, c, peer, "disconnect", nil)
}

// Ban makes the node ban a peer. A peer on the allow list is not banned.
func (c *Client) Ban(ctx context.Context, peer string, d time.Duration, reason string) (models.PeerDone, error) {
	return toPeer[models.PeerDone](ctx, c, peer, "ban", url.Values{"for": {d.String()}, "reason": {reason}})
}

// Unban makes the node lift the ban of a peer.
func (c *Client) Unban(ctx context.Context, peer string) (models.PeerDone, error) {
	return toPeer[models.PeerDone](ctx, c, peer, "unban", nil)
}

// Why requests the explanation of the node's choices about a peer.
func (c *Client) Why(ctx context.Context, peer string) (models.Why, error) {
	return toPeer[models.Why](ctx, c, peer, "why", nil)
}

// toPeer makes the node execute an action on one peer that it knows.
func toPeer[T any](ctx context.Context, c *Client, peer, verb string, params url.Values) (answer T, err error) {
	query := ""
	if len(params) > 0 {
		query = "?" + params.Encode()
	}
	err = c.post(ctx, "/v1/peers/"+url.PathEscape(peer)+":"+verb+query, "text/plain", nil, &answer)
	return answer, err
}

// ExportPeers passes all peer records to write. An error of reading them takes precedence
// over the error of write.
func (c *Client) ExportPeers(ctx context.Context, write func(io.Reader) error) error {
	res, err := c.do(ctx, http.MethodGet, "/v1/peers:export", "", nil)
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
func (c *Client) ImportPeers(ctx context.Context, r io.Reader) (done models.Imported, err error) {
	err = c.post(ctx, "/v1/peers:import", "text/plain", r, &done)
	return done, err
}

// page is a part of a list.
type page[T any] struct {
	Items []T
	Total int
	Ended uint64 // only of the ledger
}

// list reads a list page by page; last is the last page.
func list[T any](ctx context.Context, c *Client, path string, q url.Values) (all []T, last page[T], err error) {
	q.Set("limit", strconv.Itoa(inspect.MaxLimit))
	for {
		var p page[T]
		q.Set("offset", strconv.Itoa(len(all)))
		if err := c.get(ctx, path+"?"+q.Encode(), &p); err != nil {
			return nil, p, err
		}
		all = append(all, p.Items...)
		if len(p.Items) == 0 || len(all) >= p.Total {
			return all, p, nil
		}
	}
}

// Peers lists the peers that the node knows.
func (c *Client) Peers(ctx context.Context) ([]models.Peer, error) {
	all, _, err := list[models.Peer](ctx, c, "/v1/peers", url.Values{})
	return all, err
}

// Connections lists the live connections, or the last ones that have ended.
func (c *Client) Connections(ctx context.Context, closed bool) ([]models.Connection, error) {
	state := "open"
	if closed {
		state = "closed"
	}
	all, _, err := list[models.Connection](ctx, c, "/v1/connections", url.Values{"state": {state}})
	return all, err
}

// Sent selects messages over the DHT by its fields; an empty field selects all.
type Sent struct {
	State string // "open" or "failed"
	Peer  string // the node id of a peer to which they were sent
	Tag   string // as it is printed
}

func (m Sent) query() url.Values {
	q := url.Values{}
	for name, text := range map[string]string{"state": m.State, "peer": m.Peer, "tag": m.Tag} {
		if text != "" {
			q.Set(name, text)
		}
	}
	return q
}

// Ledger lists messages sent over the DHT that the node remembers. ended is the number of all that
// have ended.
func (c *Client) Ledger(ctx context.Context, m Sent) (all []models.Report, ended uint64, err error) {
	all, last, err := list[models.Report](ctx, c, "/v1/ledger", m.query())
	return all, last.Ended, err
}
