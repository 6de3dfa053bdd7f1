package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Kad requests the state of the clients of the key-value DHT.
func (c *Client) Kad(ctx context.Context) (models.Kad, error) {
	return get[models.Kad](ctx, c, "/v1/kad")
}

// KadContacts requests the routing tables of the clients.
func (c *Client) KadContacts(ctx context.Context) ([]models.KadContacts, error) {
	all, _, err := list[models.KadContacts](ctx, c, "/v1/sections/kad-peers", url.Values{})
	return all, err
}

// KadOwn requests what the clients publish.
func (c *Client) KadOwn(ctx context.Context) ([]models.KadPublications, error) {
	all, _, err := list[models.KadPublications](ctx, c, "/v1/sections/kad-own", url.Values{})
	return all, err
}

// KadConnect makes a client of the node ask another node whether it is there.
func (c *Client) KadConnect(ctx context.Context, name, target string) (models.KadConnected, error) {
	return act[models.KadConnected](ctx, c, "kad", "connect", url.Values{"client": {name}, "target": {target}}, nil)
}

// KadForget makes a client of the node end the publication of a record.
func (c *Client) KadForget(ctx context.Context, name, key string) (models.KadForgotten, error) {
	return act[models.KadForgotten](ctx, c, "kad", "forget", url.Values{"client": {name}, "key": {key}}, nil)
}

// KadPut makes a client of the node publish a value.
func (c *Client) KadPut(ctx context.Context, name string, p *models.KadPut) (models.KadReport, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return models.KadReport{}, err
	}
	return act[models.KadReport](ctx, c, "kad", "put", url.Values{"client": {name}}, bytes.NewReader(body))
}

// KadGet makes a client of the node look for a value.
func (c *Client) KadGet(ctx context.Context, name, key string, quorum int, stale time.Duration) (models.KadRecord, error) {
	q := url.Values{"client": {name}, "key": {key}}
	if quorum > 0 {
		q.Set("quorum", strconv.Itoa(quorum))
	}
	if stale > 0 {
		q.Set("max_stale", stale.String())
	}
	return act[models.KadRecord](ctx, c, "kad", "get", q, nil)
}

// KadTrace makes a client of the node look for a value, or with find for the nodes near
// to an id, and calls step with each step as it happens, the last of which is the end.
func (c *Client) KadTrace(ctx context.Context, name, target string, find bool, step func(*models.KadStep) error) error {
	q := url.Values{"client": {name}, "target": {target}, "find": {strconv.FormatBool(find)}}
	ended := false
	err := stream(ctx, c, verbAt("kad", "trace", q), "text/plain", nil, func(s *models.KadStep, _ bool) error {
		ended = ended || s.End != nil
		return step(s)
	})
	if err == nil && !ended {
		return c.gone(ctx, io.ErrUnexpectedEOF)
	}
	return err
}

// Examine has the node examine itself, or its way to a peer, and calls step with each step as it ends.
// peer is a key, the first digits of one, KEY::ADDRESS, an address, or "" for the node as a whole.
func (c *Client) Examine(ctx context.Context, peer string, step func(*models.Checked) error) (end models.Diagnosis, err error) {
	q := url.Values{}
	if peer != "" {
		q.Set("peer", peer)
	}
	ended := false
	err = stream(ctx, c, verbAt("doctor", "examine", q), "text/plain", nil, func(x *models.Examined, _ bool) error {
		if x.Diagnosis != nil {
			end, ended = *x.Diagnosis, true
		}
		if x.Step != nil {
			return step(x.Step)
		}
		return nil
	})
	if err == nil && !ended {
		err = c.gone(ctx, io.ErrUnexpectedEOF)
	}
	return end, err
}

// Trace has the node show what passes through an actor, or happens with a peer or a message, and calls
// line with each line as it comes, until the trace ends by itself: after limit lines, or after some
// time. kind is "actor", "peer" or "message", and of its path, key or tag.
func (c *Client) Trace(ctx context.Context, kind, of string, limit int, most time.Duration, line func(*models.Traced) error) error {
	param := map[string]string{"actor": "path", "peer": "peer", "message": "tag"}[kind]
	q := url.Values{param: {of}, "limit": {strconv.Itoa(limit)}, "for": {most.String()}}
	ended := false
	err := stream(ctx, c, verbAt("trace", kind, q), "text/plain", nil, func(m *models.Traced, _ bool) error {
		ended = m.What == models.TraceEnded
		return line(m)
	})
	if err == nil && !ended {
		err = c.gone(ctx, io.ErrUnexpectedEOF)
	}
	return err
}

// Admission requests with whom the node has connections.
func (c *Client) Admission(ctx context.Context) (models.Admission, error) {
	return get[models.Admission](ctx, c, "/v1/admission")
}

// Admit makes the node list the peer with a public key.
func (c *Client) Admit(ctx context.Context, key string) (models.Admitted, error) {
	return act[models.Admitted](ctx, c, "admission", "admit", url.Values{"key": {key}}, nil)
}

// Unadmit makes the node take the peer with a public key off the list.
func (c *Client) Unadmit(ctx context.Context, key string) (models.Admitted, error) {
	return act[models.Admitted](ctx, c, "admission", "unadmit", url.Values{"key": {key}}, nil)
}

// Network requests how well the node has found its network.
func (c *Client) Network(ctx context.Context) (models.Network, error) {
	return get[models.Network](ctx, c, "/v1/network")
}

// Join makes the node announce itself, and returns the report when each receiver has the
// announcement or was given up.
func (c *Client) Join(ctx context.Context) (models.Report, error) {
	return act[models.Report](ctx, c, "network", "join", nil, nil)
}

// Discover makes the node search for the holder of a key, for at most limit if that is not
// zero.
func (c *Client) Discover(ctx context.Context, key string, limit time.Duration) (models.Peer, error) {
	q := url.Values{"key": {key}}
	if limit > 0 {
		q.Set("for", limit.String())
	}
	return act[models.Peer](ctx, c, "network", "discover", q, nil)
}

// Sync makes the node ask others for the peers that they know.
func (c *Client) Sync(ctx context.Context) (models.Synced, error) {
	return act[models.Synced](ctx, c, "network", "sync", nil, nil)
}

// StoreForward requests what the node stores for others, and what it asked others for.
func (c *Client) StoreForward(ctx context.Context) (models.StoreForward, error) {
	return get[models.StoreForward](ctx, c, "/v1/saf")
}

// InboxShelf returns the state of the inbox with the messages on its shelf.
func (c *Client) InboxShelf(ctx context.Context) (models.InboxShelf, error) {
	return get[models.InboxShelf](ctx, c, "/v1/inbox")
}

// RetryMessages has messages of the shelf be handed out again, without numbers all.
func (c *Client) RetryMessages(ctx context.Context, seqs []uint64) (models.ShelfTaken, error) {
	return act[models.ShelfTaken](ctx, c, "inbox", "retry", shelfQuery(seqs), nil)
}

// DropMessages deletes messages of the shelf, without numbers all.
func (c *Client) DropMessages(ctx context.Context, seqs []uint64) (models.ShelfTaken, error) {
	return act[models.ShelfTaken](ctx, c, "inbox", "drop", shelfQuery(seqs), nil)
}

func shelfQuery(seqs []uint64) url.Values {
	if len(seqs) == 0 {
		return url.Values{"all": {"true"}}
	}
	var all []string
	for _, seq := range seqs {
		all = append(all, strconv.FormatUint(seq, 10))
	}
	return url.Values{"seqs": {strings.Join(all, ",")}}
}

// FetchStored makes the node ask peers for the messages that they store for it; without
// peers the node chooses them.
func (c *Client) FetchStored(ctx context.Context, peers []string) (models.StoreForwardFetched, error) {
	q := url.Values{}
	if len(peers) > 0 {
		q.Set("peers", strings.Join(peers, ","))
	}
	return act[models.StoreForwardFetched](ctx, c, "saf", "fetch", q, nil)
}

// PurgeStored makes the node delete the messages that it stores for the receiver to, or, if
// that is "", for all.
func (c *Client) PurgeStored(ctx context.Context, to string) (models.StoreForwardPurged, error) {
	q := url.Values{"all": {"true"}}
	if to != "" {
		q = url.Values{"to": {to}}
	}
	return act[models.StoreForwardPurged](ctx, c, "saf", "purge", q, nil)
}
