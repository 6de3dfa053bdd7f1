package memory

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// firstFree is the first port that a listener on port 0 can get, so that tests may use
// smaller numbers.
const firstFree = 1024

var errNoPort = errors.New("all ports are in use")

// Network is a set of ports and the connections between them. Networks are independent,
// so that tests with one network each may run in parallel. All methods may be called
// from any goroutine.
type Network struct {
	mu        sync.Mutex // never held while waiting
	listeners map[uint16]*listener
	reserved  map[uint16]bool
	next      uint16
	wires     map[uint64]*wire
	lastWire  uint64
	seed      uint64
	link      Link
	rules     []rule
	dialers   []chan struct{} // dials that wait for the end of a partition
}

// NewNetwork returns an empty network whose links deliver at once.
func NewNetwork() *Network {
	return &Network{
		listeners: map[uint16]*listener{},
		reserved:  map[uint16]bool{},
		next:      firstFree,
		wires:     map[uint64]*wire{},
	}
}

var defaultNetwork = NewNetwork()

// Default returns the network of all nodes of this process that choose no other.
func Default() *Network { return defaultNetwork }

// Transport returns a new transport on the network, for one node.
func (n *Network) Transport() *Transport {
	return &Transport{net: n, ports: map[uint16]bool{}}
}

// Seed fixes the random part of [Link.Jitter] for later connections: the same seed and
// the same order of dials give the same delays.
func (n *Network) Seed(seed uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seed = seed
}

// Reserve returns an address that a listener on port 0 never gets. A listener may use
// the address later.
func (n *Network) Reserve() (ma.Multiaddr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	port, err := n.freePort()
	if err != nil {
		return nil, fmt.Errorf("memory: reserve a port: %w", err)
	}
	n.reserved[port] = true
	return multiaddr(port), nil
}

// freePort returns the next port without a listener. The caller holds n.mu.
func (n *Network) freePort() (uint16, error) {
	for range 1 << 16 {
		port := n.next
		if n.next++; n.next == 0 {
			n.next = firstFree
		}
		if port != 0 && n.listeners[port] == nil && !n.reserved[port] {
			return port, nil
		}
	}
	return 0, errNoPort
}

// SetLink sets the link between all nodes, for bytes sent from now on, also on existing
// connections. Bytes sent before arrive as without the change.
func (n *Network) SetLink(l Link) {
	n.change(func() { n.link = l })
}

// SetLinkBetween sets the link between the node that listens, or has listened, on a and
// the one of b, instead of that of [Network.SetLink]. nil stands for every node. The
// latest call that matches counts.
func (n *Network) SetLinkBetween(a, b ma.Multiaddr, l Link) {
	n.change(func() {
		n.rules = append(n.rules, rule{a: pointOf(a), b: pointOf(b), link: &l})
	})
}

// Partition separates the node that listens, or has listened, on a from the one of b;
// nil stands for every node. Until [Network.Heal] nothing sent between them arrives:
// writes fill the buffers and wait, dials wait, and no connection ends.
func (n *Network) Partition(a, b ma.Multiaddr) {
	n.partition(pointOf(a), pointOf(b))
}

// Heal undoes [Network.Partition] of the same two addresses. The bytes held back arrive
// after the link's latency.
func (n *Network) Heal(a, b ma.Multiaddr) {
	n.heal(pointOf(a), pointOf(b))
}

// HealAll undoes every partition.
func (n *Network) HealAll() {
	n.change(func() {
		n.rules = slices.DeleteFunc(n.rules, func(r rule) bool { return r.link == nil })
	})
}

func (n *Network) partition(a, b point) {
	n.change(func() { n.rules = append(n.rules, rule{a: a, b: b}) })
}

func (n *Network) heal(a, b point) {
	n.change(func() {
		n.rules = slices.DeleteFunc(n.rules, func(r rule) bool {
			return r.link == nil && (r.a == a && r.b == b || r.a == b && r.b == a)
		})
	})
}

// Cut resets every connection between the node that listens, or has listened, on a and
// the one of b, like a router that has lost its state: bytes that have arrived can still
// be read, the rest is lost. nil stands for every node. Cut returns the number of
// connections.
func (n *Network) Cut(a, b ma.Multiaddr) int { return n.cut(pointOf(a), pointOf(b)) }

func (n *Network) cut(a, b point) int {
	r := rule{a: a, b: b}
	n.mu.Lock()
	var found []*wire
	for _, w := range n.ordered() {
		if r.matches(w.ends()) {
			found = append(found, w)
		}
	}
	n.mu.Unlock()
	for _, w := range found {
		w.cut()
	}
	return len(found)
}

// Conns returns the number of connections with an end that is not closed.
func (n *Network) Conns() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.wires)
}

// change runs f under the lock, applies the rules to every connection, and wakes the
// dials that wait.
func (n *Network) change(f func()) {
	n.mu.Lock()
	f()
	for _, w := range n.ordered() {
		n.apply(w)
	}
	dialers := n.dialers
	n.dialers = nil
	n.mu.Unlock()
	for _, d := range dialers {
		close(d)
	}
}

// forget removes a dial that no longer waits from the list.
func (n *Network) forget(dial chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialers = slices.DeleteFunc(n.dialers, func(d chan struct{}) bool { return d == dial })
}

// apply applies the rules to one connection. The caller holds n.mu.
func (n *Network) apply(w *wire) {
	link, parted := n.state(w.ends())
	w.up.configure(link, parted)
	w.down.configure(link, parted)
}

// state returns the link between two ends, and whether a partition separates them. The
// caller holds n.mu.
func (n *Network) state(a, b end) (link Link, parted bool) {
	link = n.link
	for _, r := range n.rules {
		switch {
		case !r.matches(a, b):
		case r.link != nil:
			link = *r.link
		default:
			parted = true
		}
	}
	return link, parted
}

// ordered returns the connections in the order in which they were made. The caller holds
// n.mu.
func (n *Network) ordered() []*wire {
	out := make([]*wire, 0, len(n.wires))
	for _, id := range slices.Sorted(maps.Keys(n.wires)) {
		out = append(out, n.wires[id])
	}
	return out
}

// connect makes a connection and puts it into l's queue. The caller holds a slot of the
// queue. connect fails when l was closed meanwhile.
func (n *Network) connect(t *Transport, l *listener) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[l.port] != l {
		return nil, transport.ErrAddressNotAvailable
	}
	n.lastWire++
	w := &wire{net: n, id: n.lastWire, dialer: t, listener: l.t, port: l.port}
	w.up = newPipe(n.seed, 2*w.id)
	w.down = newPipe(n.seed, 2*w.id+1)
	dialled := &Conn{wire: w, in: w.down, out: w.up, local: 0, remote: Addr(l.port)}
	accepted := &Conn{wire: w, in: w.up, out: w.down, local: Addr(l.port), remote: 0}
	n.wires[w.id] = w
	n.apply(w)
	l.queue = append(l.queue, accepted)
	return dialled, nil
}

// wire is one connection: a pipe in each direction.
type wire struct {
	net      *Network
	id       uint64
	dialer   *Transport
	listener *Transport
	port     uint16
	up, down *pipe // from the dialer and to the dialer
	closed   int   // ends closed, guarded by net.mu
}

func (w *wire) ends() (a, b end) {
	return end{w.dialer, 0}, end{w.listener, w.port}
}

func (w *wire) cut() {
	w.up.cut()
	w.down.cut()
}

// endClosed counts a closed end. With the second one it removes the connection.
func (w *wire) endClosed() {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if w.closed++; w.closed == 2 {
		delete(w.net.wires, w.id)
	}
}
