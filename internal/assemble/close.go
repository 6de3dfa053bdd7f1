package assemble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
)

// closeTimeout bounds a Close without a deadline, and the stop of a node that failed.
const closeTimeout = 10 * time.Second

// inspectorGrace is how long requests under way may take after the node has ended.
const inspectorGrace = time.Second

// goneGrace is how long the actors of a stop that has taken too long may go on.
const goneGrace = 250 * time.Millisecond

// Within returns ctx with the deadline of a Close: closeTimeout from now, if it has none.
func Within(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, closeTimeout)
}

// Close stops the node in order. It takes until ctx ends at most, and a second more if the store's
// disk does not answer.
func (n *Node) Close(ctx context.Context) error {
	<-n.Up // an actor of the program may call Close before Start returns
	n.closeOnce.Do(func() {
		close(n.Closing)
		n.Story.Stops()
		n.Trunk.ConfirmNothing()
	})
	err := n.Root.Stop(ctx, nil)
	select {
	case <-n.Root.Done():
		return n.released(ctx)
	default:
		return err // an earlier Close with a later deadline still waits
	}
}

// wait waits until the tree of actors has ended and then releases what Start opened.
func (n *Node) wait(log *slog.Logger) {
	<-n.Root.Done()
	select { // what follows is what the actors had
	case <-n.Root.Gone():
	case <-time.After(goneGrace):
	}
	n.Record.End()
	n.hooks.Ended()
	n.sayDropped(log)
	n.err = n.Root.Err()
	if n.inspector != nil {
		ctx, cancel := context.WithTimeout(context.Background(), inspectorGrace)
		n.err = errors.Join(n.err, n.inspector.Close(ctx))
		cancel()
	}
	if n.Inbox != nil {
		if err := n.Inbox.Close(); err != nil {
			sayLosses(n.Inbox.Unwritten().Losses(), func(attributes ...any) {
				log.Warn("messages of a peer could not be written to the inbox", attributes...)
			})
			n.err = errors.Join(n.err, fmt.Errorf("gamelan: close the inbox: %w", err))
		}
	}
	if n.DHT != nil { // the inbox has just finished its last messages
		if err := n.DHT.Close(); err != nil {
			n.err = errors.Join(n.err, fmt.Errorf("gamelan: close the DHT: %w", err))
		}
	}
	if err := n.Record.Close(); err != nil {
		log.Warn("the last events cannot be written to the disk", "err", err)
	}
	if err := n.DB.Close(); err != nil {
		n.err = errors.Join(n.err, fmt.Errorf("gamelan: close peer store: %w", err))
	}
	n.hooks.Closing()
	close(n.Closed)
	n.hooks.Closed()
}

// saidPeers bounds the peers with a log record of their own in sayLosses.
const saidPeers = 32

// sayLosses calls say for the losses of the peers with the most bytes, with the attributes of a
// log record, and returns those of all peers.
func sayLosses(of map[identity.NodeID]messengers.Loss, say func(attributes ...any)) (all messengers.Loss) {
	for _, l := range of {
		all.Messages, all.Bytes = all.Messages+l.Messages, all.Bytes+l.Bytes
	}
	peers := slices.SortedFunc(maps.Keys(of), func(a, b identity.NodeID) int {
		return cmp.Or(cmp.Compare(of[b].Bytes, of[a].Bytes), bytes.Compare(a[:], b[:]))
	})
	for _, peer := range peers[:min(len(peers), saidPeers)] {
		say("peer", peer, "messages", of[peer].Messages, "bytes", of[peer].Bytes)
	}
	return all
}

// sayDropped logs which messages nobody has handled when all actors have ended.
func (n *Node) sayDropped(log *slog.Logger) {
	dropped := n.Trunk.Plain().Dropped()
	if dropped == nil {
		dropped = make(map[identity.NodeID]messengers.Loss)
	}
	for peer, l := range n.Trunk.Outcomes().Dropped() {
		sum := dropped[peer]
		dropped[peer] = messengers.Loss{Messages: sum.Messages + l.Messages, Bytes: sum.Bytes + l.Bytes}
	}
	if len(dropped) > 0 {
		all := sayLosses(dropped, func(attributes ...any) { log.Warn("messages of a connected peer were not handled", attributes...) })
		log.Warn("messages of connected peers came that nobody has handled, and their senders may have seen them confirmed; an inbox (WithInbox) keeps such messages",
			"messages", all.Messages, "bytes", all.Bytes, "peers", len(dropped))
	}
	if n.DHT == nil {
		return
	}
	if dropped = n.Trunk.Frames().Dropped(); len(dropped) > 0 {
		all := sayLosses(dropped, func(attributes ...any) {
			log.Warn("messages over the DHT that a peer brought were not handled", attributes...)
		})
		log.Warn("messages over the DHT came that nobody has handled, and the peers that brought them may have seen them confirmed",
			"messages", all.Messages, "bytes", all.Bytes, "peers", len(dropped))
	}
}

// storeGrace is how long Close waits for the store after its context has ended: the actors
// may have used up the time, and a working disk needs little.
const storeGrace = time.Second

// released waits until everything is released, or ctx and storeGrace have ended: a broken
// disk may never answer.
func (n *Node) released(ctx context.Context) error {
	select {
	case <-n.Closed:
		return n.err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeGrace)
	defer cancel()
	select {
	case <-n.Closed:
		return n.err
	case <-grace.Done():
	}
	if left := n.Inbox.Unwritten(); left != nil {
		return errors.Join(n.Root.Err(), fmt.Errorf("gamelan: close: %w: its disk has not answered in time; see whether the disk works: %w: %w", actors.ErrStoreFailed, ctx.Err(), left))
	}
	return errors.Join(n.Root.Err(), fmt.Errorf("gamelan: close: %w: its disk has not answered in time; see whether the disk works: %w", actors.ErrStoreFailed, ctx.Err()))
}
