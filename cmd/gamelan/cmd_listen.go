package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/config"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type listenCmd struct {
	Count int  `help:"End after so many messages, and acknowledge no more than those; 0 does not end." default:"0" placeholder:"N"`
	Raw   bool `help:"Write the bodies only, as they came: one a line, and with --count 1 without a line feed after it, so that a file is what was sent."`
	All   bool `help:"Copy all that is kept and all that comes, whoever else listens, and acknowledge nothing."`
}

// Help is what gamelan listen --help says beneath the flags.
func (*listenCmd) Help() string {
	return fmt.Sprintf("The node keeps what it receives on its disk, within the settings inbox.max_bytes and inbox.max_messages, until it is acknowledged: "+
		"listen acknowledges what it has written. Several listeners share the messages; what one of them has not acknowledged when it ends, or within %s, goes to another, "+
		"so a message may be shown twice, and none is left out. When the inbox is full, plain senders wait, and messages over the DHT are dropped. "+
		"A sender that was told confirmed knows that the node has read the message: a kill -9 of the node, or a loss of power, loses at most what came in the last second before it, "+
		"and what was still in windows and credit, about 2 MiB for each peer and protocol. An orderly stop loses nothing that the inbox has, but what is still in windows. "+
		"A message over the DHT is shown with who wrote it if it is signed or encrypted, which proves that; with the peer that it came from if not, "+
		"who need not have written it; and with its type: %d, and those of the setting dht.types.", inbox.HandTimeout, config.TextType)
}

func (c *listenCmd) Run(a *app) error {
	if c.Count < 0 {
		return usage("give 0 or more", "--count cannot be %d", c.Count)
	}
	if c.Raw && a.json {
		return usage("leave one of them out", "choose either --json or --raw")
	}
	client := a.client()
	q := url.Values{"count": {strconv.Itoa(c.Count)}, "all": {strconv.FormatBool(c.All)}}
	res, err := client.get(a.ctx, "/v1/messages?"+q.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var acks *acknowledger
	if !c.All {
		acks = newAcknowledger(a.ctx, client, func() { res.Body.Close() })
	}
	err = c.copy(a, res.Body, acks)
	if acks != nil { // also of what was written before an error
		err = errors.Join(err, notAcknowledged(acks.end()))
	}
	switch p := (*printError)(nil); {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p.error
	}
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	return client.gone(a.ctx, err)
}

// copy writes the messages of r, as many as were asked for, and has those
// acknowledged that are written and flushed; acks may be nil.
func (c *listenCmd) copy(a *app, r io.Reader, acks *acknowledger) error {
	out := bufio.NewWriterSize(a.out, 64<<10)
	n, unflushed := 0, 0
	err := readObjects(r, func(m heardMessage, more bool) error {
		if m.err != nil {
			return failed(m.err.Code, m.err.Hint, "%s", m.err.Message)
		}
		n++
		last := n == c.Count
		if err := printMessage(a, out, &m.Message, c.form()); err != nil {
			return &printError{err}
		}
		if acks != nil {
			acks.add(m.Seq)
		}
		if unflushed++; last || !more || unflushed == ackEvery {
			if err := out.Flush(); err != nil {
				return &printError{err}
			}
			unflushed = 0
			if acks != nil {
				acks.flushed()
			}
		}
		if last {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err == nil: // the node never ends this by itself
		return io.ErrUnexpectedEOF
	}
	return err
}

// notAcknowledged says what follows when messages that were written could not be
// acknowledged.
func notAcknowledged(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitFailed, "not_acknowledged", "the last messages were written, but not acknowledged", "they come again with the next gamelan listen", err}
}

// heardMessage is a line of the answer: a message, or why there are no more.
type heardMessage struct {
	inspect.Message
	err *inspect.Error
}

func (m *heardMessage) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`{"error":`)) {
		var e struct{ Error *inspect.Error }
		err := json.Unmarshal(b, &e)
		m.err = e.Error
		return err
	}
	return m.Message.UnmarshalJSON(b)
}

// form is how messages are written.
func (c *listenCmd) form() messageForm {
	switch {
	case c.Raw && c.Count == 1:
		return bareForm
	case c.Raw:
		return rawForm
	}
	return lineForm
}

// errEnough ends reading when all that was asked for is there.
var errEnough = errors.New("gamelan: enough")

// printError is an error of our own output, not of the node.
type printError struct{ error }
