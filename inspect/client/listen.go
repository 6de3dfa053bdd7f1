package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Limits of the time that the node may take, whatever the caller's context allows.
const (
	ackTimeout      = 10 * time.Second
	handBackTimeout = 2 * time.Second
)

// Listen yields the messages that the node keeps, oldest first, and then those that arrive. It ends
// after o.Most messages. The node keeps a message until it is acknowledged. When the loop ends, it gives
// messages that were not to another listener. An error comes last, also that of ctx.
func (c *Client) Listen(ctx context.Context, o inspect.Listening) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		h, err := c.Hear(ctx, o)
		if err != nil {
			yield(models.Message{}, err)
			return
		}
		defer h.Close()
		n := 0
		err = h.Each(ctx, func(m *models.Message, _ bool) error {
			if n++; !yield(*m, nil) || n == o.Most {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			yield(models.Message{}, err)
		}
	}
}

// errEnough ends reading when enough messages have come.
var errEnough = errors.New("client: enough")

// Hearing is an open request for messages.
type Hearing struct {
	c    *Client
	body io.ReadCloser
}

// Hear is Listen for a program that writes many messages at once. The caller closes the result.
func (c *Client) Hear(ctx context.Context, o inspect.Listening) (*Hearing, error) {
	q := url.Values{"count": {strconv.Itoa(o.Most)}, "all": {strconv.FormatBool(o.All)}}
	if o.Topic != "" {
		q.Set("topic", o.Topic)
	}
	if o.Name != "" {
		q.Set("name", o.Name)
	}
	res, err := c.do(ctx, http.MethodGet, "/v1/messages?"+q.Encode(), "", nil) //nolint:bodyclose // Hearing.Close does it
	if err != nil {
		return nil, err
	}
	return &Hearing{c, res.Body}, nil
}

// Each calls f with each message, until the node or ctx ends, or f returns an error, which is then the
// result. more says that another message is there already. ctx is that of the request.
func (h *Hearing) Each(ctx context.Context, f func(m *models.Message, more bool) error) error {
	err := readObjects(h.body, f)
	if err == nil { // the node never ends this by itself
		err = io.ErrUnexpectedEOF
	}
	return h.c.ended(ctx, err)
}

// Close ends the request. Any goroutine may call it.
func (h *Hearing) Close() error { return h.body.Close() }

// Acknowledge acknowledges messages by their numbers. It returns when the node has noted that on the
// disk. Without an answer it asks once more: this process may have stood still, and what it gives back
// comes to another listener again. It ends with ctx, or after 10 s for each try.
func (c *Client) Acknowledge(ctx context.Context, seqs ...uint64) error {
	body, err := json.Marshal(map[string]any{"seqs": seqs})
	if err != nil {
		return err
	}
	err = c.acknowledge(ctx, body)
	if CodeOf(err) == CodeSilent && ctx.Err() == nil {
		c.silent.Store(nil)
		err = c.acknowledge(ctx, body)
	}
	return err
}

// acknowledge asks the node once.
func (c *Client) acknowledge(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	return c.post(ctx, "/v1/messages:ack", "application/json", bytes.NewReader(body), nil)
}

// HandBack ends the listener of that name, so that the next one begins with the messages that it
// had in hand. It ends with ctx, or after 2 s. The end of the listener's connection does the same a
// moment later.
func (c *Client) HandBack(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, handBackTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return err
	}
	return c.post(ctx, "/v1/messages:back", "application/json", bytes.NewReader(body), nil)
}
