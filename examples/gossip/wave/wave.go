// Package wave records how news spreads through a network, and shows it as text and as a
// picture: which node told which other node first, and when.
package wave

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Wave records news that begins at the first node. The methods Name, Begin, Heard, Dropped
// and Told may be called from any goroutine. Nodes and Links may be read only before and
// after the news spreads.
type Wave struct {
	Nodes []Node
	Links [][2]int // pairs of indexes in Nodes, each pair once

	mu       sync.Mutex
	index    map[identity.NodeID]int
	began    time.Time
	relayed  int           // nodes that have sent the news to all their peers
	sent     int           // messages that were sent
	heard    int           // messages that arrived, including copies
	copies   int           // copies among the messages that arrived
	finished chan struct{} // closed when the news has stopped spreading
}

// Node is a node of the network, and how it heard the news.
type Node struct {
	// Heard is false for a node that the news has not reached.
	Heard bool
	From  int           // index in Wave.Nodes of the node that told it first
	Hops  int           // hops from the node where the news began
	At    time.Duration // time since the news began
}

// New returns a network in which every node can be reached. Each node is linked to one
// node before it, and to links-1 more nodes. The seed selects the network.
func New(nodes, links int, seed uint64) (*Wave, error) {
	if nodes < 2 || nodes > 200 || links < 1 || links > 8 {
		return nil, fmt.Errorf("%d nodes with %d links each: want 2 to 200 nodes with 1 to 8", nodes, links)
	}
	w := &Wave{Nodes: make([]Node, nodes), index: make(map[identity.NodeID]int), finished: make(chan struct{})}
	random := rand.New(rand.NewPCG(seed, 0))
	linked := make(map[[2]int]bool)
	link := func(a, b int) bool {
		pair := [2]int{min(a, b), max(a, b)}
		if a == b || linked[pair] {
			return false
		}
		linked[pair] = true
		w.Links = append(w.Links, pair)
		return true
	}
	for i := 1; i < nodes; i++ {
		link(i, random.IntN(i))
	}
	for i := range nodes {
		more := links - 1
		for _, j := range random.Perm(nodes) {
			if more > 0 && link(i, j) {
				more--
			}
		}
	}
	return w, nil
}

// Degree returns how many links a node has.
func (w *Wave) Degree(node int) (n int) {
	for _, link := range w.Links {
		if link[0] == node || link[1] == node {
			n++
		}
	}
	return n
}

// Name sets the id of a node.
func (w *Wave) Name(node int, id identity.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.index[id] = node
}

// Begin records that the first node sends the news now.
func (w *Wave) Begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Now()
	w.Nodes[0].Heard = true
}

// Heard records that a node receives the news now, for the first time, from another node.
func (w *Wave) Heard(node, from identity.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Since(w.began)
	i := w.index[from]
	w.Nodes[w.index[node]] = Node{Heard: true, From: i, Hops: w.Nodes[i].Hops + 1, At: at}
	w.heard++
	w.look()
}

// Dropped records that a copy of the news was dropped.
func (w *Wave) Dropped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard++
	w.copies++
	w.look()
}

// Told records that a node has sent that many messages with the news and sends no more.
func (w *Wave) Told(messages int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relayed++
	w.sent += messages
	w.look()
}

// look closes finished if all nodes with the news have sent it on, and all these messages
// have arrived.
func (w *Wave) look() {
	if w.relayed != w.reached() || w.heard < w.sent {
		return
	}
	select {
	case <-w.finished:
	default:
		close(w.finished)
	}
}

// Wait waits until the news has stopped spreading.
func (w *Wave) Wait(ctx context.Context) error {
	select {
	case <-w.finished:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Errorf("the news is under way: %d of %d who have it have passed it on, %d of %d messages have arrived: %w",
		w.relayed, w.reached(), w.heard, w.sent, ctx.Err())
}

func (w *Wave) reached() (n int) {
	for _, node := range w.Nodes {
		if node.Heard {
			n++
		}
	}
	return n
}
