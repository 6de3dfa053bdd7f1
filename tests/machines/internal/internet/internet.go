// Package internet carries IP packets between networks, in user space: it can delay and lose
// them on a kernel whose traffic control cannot (no sch_netem).
//
// A network is attached with a device, usually a TUN, and the prefixes that are reached
// through it. What has no network, or would go back to where it came from, is dropped without
// a word. No packet is changed: the hops do not count, and nothing is fragmented.
package internet

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Path says how packets fare on one way, from one network to another. The zero Path passes
// them on at once.
type Path struct {
	Delay  time.Duration // of each packet
	Jitter time.Duration // most that is added to Delay, drawn for each packet; packets keep their order
	Loss   float64       // share of the packets that are lost, from 0 to 1
}

const (
	maxPacket = 1 << 16 // bytes
	maxQueue  = 1 << 12 // packets under way in one direction between two networks; more are lost
)

// Internet carries packets between the networks that are attached to it.
type Internet struct {
	done chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex
	networks []*network
	routes   map[netip.Prefix]*network
	lines    map[way]*line
	paths    map[way]Path
	others   Path // of ways that paths lacks
}

type network struct {
	name string
	dev  io.ReadWriteCloser // each Read and Write is one packet
}

type way struct{ from, to string }

// line is the packets under way in one direction between two networks.
type line struct {
	to    *network
	queue chan packet
	last  time.Time // when the packet that was taken last is due
}

type packet struct {
	bytes []byte
	due   time.Time
}

// New returns an Internet without networks.
func New() *Internet {
	return &Internet{
		done: make(chan struct{}), routes: make(map[netip.Prefix]*network),
		lines: make(map[way]*line), paths: make(map[way]Path),
	}
}

// Attach adds a network. It ends when its device returns an error; Close closes the device.
func (n *Internet) Attach(name string, dev io.ReadWriteCloser, prefixes ...netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	one := &network{name, dev}
	n.networks = append(n.networks, one)
	for _, p := range prefixes {
		n.routes[p.Masked()] = one
	}
	n.work.Go(func() { n.read(one) })
}

// Between sets the path between two networks, in both directions.
func (n *Internet) Between(a, b string, p Path) {
	n.OneWay(a, b, p)
	n.OneWay(b, a, p)
}

// OneWay sets the path from one network to another. Packets under way keep their times.
func (n *Internet) OneWay(from, to string, p Path) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paths[way{from, to}] = p
}

// Everywhere sets the path between any two networks, and forgets all others.
func (n *Internet) Everywhere(p Path) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.paths)
	n.others = p
}

// Close detaches all networks and returns when nothing moves any more.
func (n *Internet) Close() {
	n.mu.Lock()
	close(n.done)
	for _, one := range n.networks {
		one.dev.Close()
	}
	n.mu.Unlock()
	n.work.Wait()
}

func (n *Internet) read(from *network) {
	buf := make([]byte, maxPacket)
	for {
		size, err := from.dev.Read(buf)
		if err != nil {
			return
		}
		if to, ok := destination(buf[:size]); ok {
			n.send(from, to, append([]byte(nil), buf[:size]...), time.Now())
		}
	}
}

// destination returns where an IP packet wants to go.
func destination(b []byte) (netip.Addr, bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[16:20])), true
	case len(b) >= 40 && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[24:40])), true
	}
	return netip.Addr{}, false
}

func (n *Internet) send(from *network, dst netip.Addr, b []byte, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.route(dst)
	if to == nil || to == from {
		return
	}
	w := way{from.name, to.name}
	p, ok := n.paths[w]
	if !ok {
		p = n.others
	}
	if rand.Float64() < p.Loss {
		return
	}
	l := n.lines[w]
	if l == nil {
		l = &line{to: to, queue: make(chan packet, maxQueue)}
		n.lines[w] = l
		n.work.Go(func() { n.carry(l) })
	}
	due := now.Add(p.Delay)
	if p.Jitter > 0 {
		due = due.Add(rand.N(p.Jitter))
	}
	if due.Before(l.last) {
		due = l.last
	}
	select {
	case l.queue <- packet{b, due}:
		l.last = due
	default:
	}
}

// route returns the network with the longest prefix of ip, nil if there is none.
func (n *Internet) route(ip netip.Addr) *network {
	best, bits := (*network)(nil), -1
	for p, to := range n.routes {
		if p.Contains(ip) && p.Bits() > bits {
			best, bits = to, p.Bits()
		}
	}
	return best
}

func (n *Internet) carry(l *line) {
	for {
		select {
		case p := <-l.queue:
			select {
			case <-time.After(time.Until(p.due)):
				_, _ = l.to.dev.Write(p.bytes) // a network that is gone takes nothing
			case <-n.done:
				return
			}
		case <-n.done:
			return
		}
	}
}
