package gamelan

import (
	"context"
	"iter"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/feed"
)

// Event is something that happened in the node.
type Event struct {
	Seq   uint64 // the event's number among all events of the node
	At    time.Time
	Value any // one of the types from PeerConnected to TorServiceUnpublished, what your actors publish, or Lost
}

// Lost reports that a slow reader has missed N events.
type Lost struct{ N uint64 }

// Events iterates over the events of the node, from the beginning of the loop until ctx
// ends or the node stops. A slow reader never delays the node: it misses events, and a
// [Lost] says how many.
func (n *Node) Events(ctx context.Context) iter.Seq[Event] { return n.events.All(ctx) }

func newEvents() *feed.Feed[Event] {
	return feed.New(func(before Event, n uint64) Event { return Event{At: before.At, Value: Lost{n}} })
}

// publish gives an event to all readers. The publishing actor calls it in its own turn.
func (n *Node) publish(value any) {
	n.events.Publish(func(seq uint64) Event { return Event{seq, n.e.Now(), value} })
}
