package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

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
		if err := c.getJSON(ctx, path+"?"+q.Encode(), &p); err != nil {
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

// Messages selects messages over the DHT by its fields; an empty field selects all.
type Messages struct {
	State string // "open" or "failed"
	Peer  string // the node id of a peer to which they were sent
	Tag   string // as it is printed
}

func (m Messages) query() url.Values {
	q := url.Values{}
	for name, text := range map[string]string{"state": m.State, "peer": m.Peer, "tag": m.Tag} {
		if text != "" {
			q.Set(name, text)
		}
	}
	return q
}

// Ledger lists messages sent over the DHT. forgotten is the number of ended messages that
// the node no longer remembers.
func (c *Client) Ledger(ctx context.Context, m Messages) (all []models.Report, forgotten uint64, err error) {
	all, last, err := list[models.Report](ctx, c, "/v1/ledger", m.query())
	return all, last.Ended - min(last.Ended, dht.LedgerKept), err
}
