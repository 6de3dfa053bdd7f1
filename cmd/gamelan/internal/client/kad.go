package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Kad requests the state of the clients of the key-value DHT.
func (c *Client) Kad(ctx context.Context) (v models.Kad, err error) {
	err = c.getJSON(ctx, "/v1/kad", &v)
	return v, err
}

// KadContacts requests the routing tables of the clients.
func (c *Client) KadContacts(ctx context.Context) (list []models.KadContacts, err error) {
	err = c.getJSON(ctx, "/v1/sections/kad-peers", &list)
	return list, err
}

// KadOwn requests what the clients publish.
func (c *Client) KadOwn(ctx context.Context) (list []models.KadPublications, err error) {
	err = c.getJSON(ctx, "/v1/sections/kad-own", &list)
	return list, err
}

// KadConnect makes a client of the node ask another node whether it is there.
func (c *Client) KadConnect(ctx context.Context, name, target string) (v models.KadConnected, err error) {
	err = c.kad(ctx, "connect", url.Values{"client": {name}, "target": {target}}, nil, &v)
	return v, err
}

// KadForget makes a client of the node end the publication of a record.
func (c *Client) KadForget(ctx context.Context, name, key string) (v models.KadForgotten, err error) {
	err = c.kad(ctx, "forget", url.Values{"client": {name}, "key": {key}}, nil, &v)
	return v, err
}

// KadPut makes a client of the node publish a value.
func (c *Client) KadPut(ctx context.Context, name string, p *models.KadPut) (v models.KadReport, err error) {
	body, err := json.Marshal(p)
	if err != nil {
		return v, err
	}
	err = c.kad(ctx, "put", url.Values{"client": {name}}, body, &v)
	return v, err
}

// KadGet makes a client of the node look for a value.
func (c *Client) KadGet(ctx context.Context, name, key string, quorum int, stale time.Duration) (v models.KadRecord, err error) {
	q := url.Values{"client": {name}, "key": {key}}
	if quorum > 0 {
		q.Set("quorum", strconv.Itoa(quorum))
	}
	if stale > 0 {
		q.Set("max_stale", stale.String())
	}
	err = c.kad(ctx, "get", q, nil, &v)
	return v, err
}

// KadTrace makes a client of the node look for a value, or with find for the nodes near
// to an id, and calls step with each step as it happens, the last of which is the end.
func (c *Client) KadTrace(ctx context.Context, name, target string, find bool, step func(*models.KadStep) error) error {
	q := url.Values{"client": {name}, "target": {target}, "find": {strconv.FormatBool(find)}}
	res, err := c.do(ctx, "POST", "/v1/kad/trace?"+q.Encode(), "text/plain", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	ended := false
	err = readObjects(res.Body, func(s tracedStep, _ bool) error {
		if s.Error != nil {
			return failureOf(s.Error)
		}
		ended = ended || s.End != nil
		if err := step(&s.KadStep); err != nil {
			return &ownError{err}
		}
		return nil
	})
	return c.streamed(ctx, err, ended)
}

// tracedStep is a line of the answer: a step, or the error that ends the stream.
type tracedStep struct {
	models.KadStep
	Error *inspect.Error `json:"error"`
}

// kad carries out one action on the key-value DHT.
func (c *Client) kad(ctx context.Context, verb string, q url.Values, body []byte, v any) error {
	return c.post(ctx, "/v1/kad/"+verb+"?"+q.Encode(), bytes.NewReader(body), v)
}
