package kad

import (
	"context"
	"testing"
)

// The messages by which a test stores a record through a client's actor.
type (
	StartPut = startPut
	PutReply = putReply
)

// Held returns the tokens that are taken at the gateways of a client.
func Held(c *Client) (requests, answers, stores int) {
	for _, g := range c.x.gates {
		r, a := g.tokens.held()
		requests, answers = requests+r, answers+a
	}
	return requests, answers, int(c.x.stored.work.Load())
}

// Local returns the record that a client has itself; nil: none.
func Local(t *testing.T, c *Client, key Key) *Record {
	t.Helper()
	r, err := clientAsk[localRecord](context.Background(), c, c.x.store, readLocal{key: key})
	if err != nil {
		t.Fatal(err)
	}
	return r.record
}
