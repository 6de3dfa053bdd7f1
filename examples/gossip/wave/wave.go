// Package wave is news on its way through a network: who told whom first, and
// when, in words and as a picture.
package wave

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Wave is news that begins at the first node. The methods that note what happens
// may be called from any goroutine; Nodes and Links are there to be read before
// and after.
type Wave struct {
	Nodes []Node
	Links [][2]int // of indexes in Nodes, each pair once

	mu       sync.Mutex
	index    map[identity.NodeID]int
	began    time.Time
	told     int           // nodes that have sent the news to all they wanted to
	sent     int           // messages
	heard    int           // messages, first ones and copies
	copies   int           // of those heard
	finished chan struct{} // closed when all this is over
}

// Node is a node of the network, and how it heard the news.
type Node struct {
	// Heard is false for a node that the news has not reached.
	Heard bool
	From  int           // index in Wave.Nodes of the one who told it first
	Hops  int           // 0 where the news began
	At    time.Duration // since then
}

// New returns a network in which everybody can be reached: each node is linked to
// one before it, and as many others as asked for.
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

// Name says which node has an id.
func (w *Wave) Name(node int, id identity.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.index[id] = node
}

// Begin notes that the first node says the news now.
func (w *Wave) Begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Now()
	w.Nodes[0].Heard = true
}

// Heard notes that a node hears the news now, from one that has it.
func (w *Wave) Heard(node, from identity.NodeID) {
	at := time.Since(w.began)
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.index[from]
	w.Nodes[w.index[node]] = Node{Heard: true, From: i, Hops: w.Nodes[i].Hops + 1, At: at}
	w.heard++
	w.look()
}

// Dropped notes that a copy of the news was dropped.
func (w *Wave) Dropped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard++
	w.copies++
	w.look()
}

// Told notes that a node has told so many others, and tells no more.
func (w *Wave) Told(messages int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told++
	w.sent += messages
	w.look()
}

// look sees whether all who have the news have passed it on, and whether all they
// said has arrived.
func (w *Wave) look() {
	if w.told != w.reached() || w.heard < w.sent {
		return
	}
	select {
	case <-w.finished:
	default:
		close(w.finished)
	}
}

// Wait waits until nobody says the news any more.
func (w *Wave) Wait(ctx context.Context) error {
	select {
	case <-w.finished:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Errorf("the news is under way: %d of %d who have it have passed it on, %d of %d messages have arrived: %w",
		w.told, w.reached(), w.heard, w.sent, ctx.Err())
}

func (w *Wave) reached() (n int) {
	for _, node := range w.Nodes {
		if node.Heard {
			n++
		}
	}
	return n
}
