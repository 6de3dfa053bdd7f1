package client

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"
)

// ackTimeout is how long the node may take to acknowledge written messages, even after the
// user has ended the command.
const ackTimeout = 10 * time.Second

// ackEvery is how many messages are written before they are acknowledged, at most.
const ackEvery = 256

// acknowledger acknowledges written messages, on its own goroutine, so that the next ones
// are written meanwhile. Messages written during one acknowledgement go with the next one,
// in one sync of the node's disk. The node limits their number: it sends no more messages
// until some are acknowledged.
type acknowledger struct {
	client *Client
	failed func() // called once, when the node did not acknowledge
	more   chan struct{}
	done   chan error
	next   []uint64

	mu      sync.Mutex
	written []uint64 // not acknowledged yet
}

func newAcknowledger(ctx context.Context, c *Client, failed func()) *acknowledger {
	a := &acknowledger{client: c, failed: failed, more: make(chan struct{}, 1), done: make(chan error, 1)}
	go func() { a.done <- a.run(context.WithoutCancel(ctx)) }()
	return a
}

func (a *acknowledger) run(ctx context.Context) error {
	for range a.more {
		a.mu.Lock()
		list := a.written
		a.written = nil
		a.mu.Unlock()
		if len(list) == 0 {
			continue
		}
		if err := a.post(ctx, list); err != nil {
			a.failed()
			return err
		}
	}
	return nil
}

// add notes a message that is about to be written.
func (a *acknowledger) add(seq uint64) { a.next = append(a.next, seq) }

// flushed reports that all noted messages are written.
func (a *acknowledger) flushed() {
	if len(a.next) == 0 {
		return
	}
	a.mu.Lock()
	a.written = append(a.written, a.next...)
	a.mu.Unlock()
	a.next = a.next[:0]
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// end waits until the node has acknowledged all flushed messages. Call it once.
func (a *acknowledger) end() error {
	close(a.more)
	return <-a.done
}

func (a *acknowledger) post(ctx context.Context, seqs []uint64) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"seqs": seqs})
	if err != nil {
		return err
	}
	res, err := a.client.do(ctx, "POST", "/v1/messages:ack", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return res.Body.Close()
}
