//go:build !nodisk

package gamelantest

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

// DataDir returns a new directory for Config.DataDir. Its store is in memory, so that [Network.Kill] and
// [Network.PowerCut] can lose what it has not written. Start a node with it again and again.
func (n *Network) DataDir() string {
	n.t.Helper()
	dir := n.t.TempDir()
	n.disks.add(filepath.Join(dir, kv.StoreDir))
	return dir
}

// Kill ends a node as a kill -9 of its process does: it finishes nothing, and tells nobody. What it has given to the system is there
// when a node is started with the same [Network.DataDir], which may be all but the last second; what a node without one knew is
// lost. A function of yours may be called for a moment longer, and what it returns is lost.
func (n *Network) Kill(node *Node) { n.kill(node, 100) }

// PowerCut is Kill, but loses what the node's store has not synced, too.
func (n *Network) PowerCut(node *Node) { n.kill(node, 0) }

func (n *Network) kill(node *Node, unsynced int) {
	n.t.Helper()
	node.killed.Store(true)
	node.Transport.Kill() // first: nobody hears of what is not on the disk that is left
	if dir := node.dataDir; dir != "" && !n.disks.crash(filepath.Join(dir, kv.StoreDir), unsynced) {
		n.t.Fatalf("node %d cannot be killed: its data directory is not one of Network.DataDir", node.Number)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	_ = node.Close(ended) // it says what it has not finished
	select {
	case <-node.Inspection().Tree().Gone():
	case <-time.After(killTimeout):
		n.t.Fatalf("node %d was killed, and its actors still run after %s: a function of yours does not return", node.Number, killTimeout)
	}
}

// killTimeout is how long a function of the program may go on in a node that was killed; all else ends at once.
const killTimeout = 10 * time.Second

// disks are the stores of directories.
type disks struct {
	mu sync.Mutex
	of map[string]*kvtest.Crashable
}

func (d *disks) add(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = make(map[string]*kvtest.Crashable)
	}
	d.of[dir] = kvtest.NewCrashable()
}

// crash leaves of a store what a crash leaves, for the next node.
func (d *disks) crash(dir string, unsynced int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	disk, ok := d.of[dir]
	if ok {
		d.of[dir] = disk.Crash(unsynced)
	}
	return ok
}

func (d *disks) disk(dir string) *kvtest.Crashable {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.of[dir]
}

// OpenStore opens the store of a directory.
func (k killable) OpenStore(dir string) (kv.DB, error) {
	if disk := k.disks.disk(dir); disk != nil {
		return disk.Open(dir)
	}
	return kv.OpenPebble(dir)
}
