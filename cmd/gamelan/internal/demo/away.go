package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// The last part of the demonstration: messages for a node that is away.
const (
	letters      = 10
	letterType   = 1225
	awayLimit    = 20 * time.Second // for the messages to come, once the node is back
	attempts     = 3                // to write a letter, and to fetch
	lookInterval = 5 * time.Millisecond
)

// demoAway is what became of messages for a node that was away.
type demoAway struct {
	Name     string        `json:"name"`
	Sent     int           `json:"sent"`
	Copies   int           `json:"copies"` // that neighbours have read, which may store them
	Received int           `json:"received"`
	Twice    int           `json:"received_twice"`
	After    time.Duration `json:"after_ns"` // from the node's return to the last message

	// What each node stored and asked for, if the messages did not come once each.
	Sections map[string]models.StoreForward `json:"sections,omitempty"`
}

// right reports whether each message came once.
func (a demoAway) right() bool { return a.Received == a.Sent && a.Twice == 0 }

// letterbox counts the letters of a node. Its actors share it, so that a restart loses none.
type letterbox struct {
	mu   sync.Mutex
	came map[string]int
}

// Receive records a letter.
//
// In: dht.Received.
func (b *letterbox) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		supervisor.Unhandled(c)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came[string(m.Body)]++
}

func (b *letterbox) count() (received, twice int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.came {
		received++
		if n > 1 {
			twice++
		}
	}
	return received, twice
}

// away has the third node go away, the first one write to it, and the third one come back.
func (d *demo) away(ctx context.Context) (demoAway, error) {
	ann, ben, cleo := &d.nodes[0], &d.nodes[1], &d.nodes[2]
	a := demoAway{Name: cleo.name, Sent: letters}
	if err := cleo.node.Close(ctx); err != nil {
		return a, fmt.Errorf("stop %s: %w", cleo.name, err)
	}
	err := wait(ctx, func() bool { return !connected(ann.node, cleo.node) && !connected(ben.node, cleo.node) })
	if err != nil {
		return a, err
	}
	for i := range letters {
		copies, err := d.write(ctx, ann.node, cleo, strconv.AppendInt(nil, int64(i), 10))
		if err != nil {
			return a, fmt.Errorf("letter %d to %s: %w", i, cleo.name, err)
		}
		a.Copies += copies
	}
	box, start := &letterbox{came: make(map[string]int)}, time.Now()
	cleo.node, err = d.start(ctx, cleo, []string{ben.node.Seed()},
		gamelan.WithType(letterType, func(*gamelan.Node) actor.Actor { return actor.ReceiveFunc(box.Receive) }))
	if err != nil {
		return a, err
	}
	limited, cancel := context.WithTimeout(ctx, awayLimit)
	defer cancel()
	all := func() bool { n, _ := box.count(); return n == letters }
	if err := wait(limited, all); err != nil && ctx.Err() != nil {
		return a, err
	}
	a.After = time.Since(start)
	for n := 0; n < attempts && (n == 0 || !all()); n++ { // usually all are there, and nothing comes a second time
		late := !all()
		if late && !connected(cleo.node, ben.node) {
			if _, err := cleo.node.Dial(ctx, ben.node.ID()); err != nil {
				return a, fmt.Errorf("%s has no connection to %s: %w", cleo.name, ben.name, err)
			}
		}
		if _, err := cleo.node.DHT().FetchStored(ctx); err != nil {
			return a, fmt.Errorf("%s fetches stored messages: %w", cleo.name, err)
		}
		if late {
			a.After = time.Since(start)
		}
	}
	a.Received, a.Twice = box.count()
	if !a.right() {
		a.Sections = make(map[string]models.StoreForward, len(d.nodes))
		for i := range d.nodes {
			a.Sections[d.nodes[i].name] = d.nodes[i].node.DHT().StoreForward(ctx)
		}
	}
	return a, nil
}

// write sends a letter, again if it failed, and returns how many neighbours have read it.
func (d *demo) write(ctx context.Context, from *gamelan.Node, to *demoNode, body []byte) (copies int, err error) {
	m := dht.Message{To: dht.StoreFor{To: to.secret.PublicKey()}, Encrypt: true, Type: letterType, Body: body}
	for range attempts {
		r, sendErr := from.DHT().Send(ctx, m)
		switch {
		case sendErr != nil:
			return 0, sendErr
		case r.Count(protocol.Confirmed) > 0:
			return r.Count(protocol.Confirmed), nil
		case r.Count(protocol.InDoubt) > 0: // a second one might come twice
			return 0, nil
		}
		err = errors.New(r.String())
		limited, cancel := context.WithTimeout(ctx, awayLimit)
		_ = wait(limited, func() bool { return connected(from, d.nodes[1].node) }) // else the next one fails too
		cancel()
	}
	return 0, err
}

func connected(n, to *gamelan.Node) bool {
	_, ok := n.Connection(to.ID())
	return ok
}

// wait looks until ready returns true.
func wait(ctx context.Context, ready func() bool) error {
	for !ready() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookInterval):
		}
	}
	return nil
}
