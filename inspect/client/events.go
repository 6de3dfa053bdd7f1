package client

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Events requests events, oldest first.
func (c *Client) Events(ctx context.Context, q inspect.EventQuery) (models.Events, error) {
	return get[models.Events](ctx, c, eventsAt(&q))
}

// Follow calls each with the events that q asks for, and then with those that follow, until ctx ends, the
// node ends or each returns an error. An event of the type models.EventsLost says that some are not
// kept any more. The error is never nil: an orderly stop of the node is an [*Error] with CodeGone. Afterwards
// Follow can go on with the id of the last event as q.Since.
func (c *Client) Follow(ctx context.Context, q inspect.EventQuery, each func(*models.Event) error) error {
	return c.ended(ctx, c.followed(ctx, &q, each))
}

func (c *Client) followed(ctx context.Context, q *inspect.EventQuery, each func(*models.Event) error) error {
	res, err := c.do(ctx, http.MethodGet, eventsAt(q), "text/event-stream", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, maxEvent)
	for in.Scan() {
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		var e models.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return err
		}
		if err := each(&e); err != nil {
			return &callerError{err}
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF // the node never ends this by itself
}

// maxEvent bounds the line of an event, in bytes.
const maxEvent = 1 << 20

func eventsAt(q *inspect.EventQuery) string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("since", q.Since)
	set("peer", q.Peer)
	set("type", strings.Join(q.Types, ","))
	if !q.From.IsZero() {
		set("from", q.From.UTC().Format(time.RFC3339))
	}
	if !q.To.IsZero() {
		set("to", q.To.UTC().Format(time.RFC3339))
	}
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	return "/v1/events?" + v.Encode()
}
