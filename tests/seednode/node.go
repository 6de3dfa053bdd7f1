package seednode

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config holds the numbers with which a node is made. Zero values mean the usual ones.
type Config struct {
	BucketSize     int           // 20
	Concurrency    int           // 3
	PeerTimeout    time.Duration // 15 min
	MessageTimeout time.Duration // 3 s
	StorageTimeout time.Duration // 60 min
	// Slow sends at most one datagram for each one received or each Pace, as the program does.
	// Otherwise datagrams leave at once.
	Slow bool
	Pace time.Duration // 20 ms
	// Calm starts no lookup when the table's size has changed.
	Calm bool
}

// Node is an emulated node on a loopback address. Its methods may be called from several
// goroutines.
type Node struct {
	config Config
	id     []byte
	conn   *net.UDPConn

	received chan packet
	outgoing chan packet
	commands chan func()
	stopped  chan struct{}
	ended    sync.WaitGroup
	crashed  chan struct{}

	// What the management goroutine owns.
	table     table
	values    map[string]stored
	pending   map[string]*pending
	lookups   map[string]*lookup
	lastSize  int
	refreshed time.Time
}

type packet struct {
	address string
	d       Datagram
}

type stored struct {
	value []byte
	until time.Time
}

type pending struct {
	until  time.Time
	answer func(*Datagram)
}

// ErrStopped reports a call of a node that was stopped or has crashed.
var ErrStopped = errors.New("seednode: not running")

// Start starts a node at 127.0.0.1.
func Start(c Config) (*Node, error) {
	c.BucketSize, c.Concurrency = orUsual(c.BucketSize, 20), orUsual(c.Concurrency, 3)
	c.PeerTimeout, c.MessageTimeout = orUsual(c.PeerTimeout, 15*time.Minute), orUsual(c.MessageTimeout, 3*time.Second)
	c.StorageTimeout, c.Pace = orUsual(c.StorageTimeout, time.Hour), orUsual(c.Pace, 20*time.Millisecond)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	n := &Node{
		config: c, id: random(), conn: conn,
		received: make(chan packet, 4096), outgoing: make(chan packet, 65_536), commands: make(chan func(), 4096), stopped: make(chan struct{}), crashed: make(chan struct{}),
		values: map[string]stored{}, pending: map[string]*pending{}, lookups: map[string]*lookup{}, refreshed: time.Now(),
	}
	n.table = table{self: n.id, size: c.BucketSize}
	n.ended.Go(n.read)
	if !c.Slow {
		n.ended.Go(n.write)
	}
	n.ended.Go(n.manage)
	return n, nil
}

func orUsual[T int | time.Duration](v, usual T) T {
	if v == 0 {
		return usual
	}
	return v
}

func random() []byte {
	b := make([]byte, idLen)
	_, _ = rand.Read(b) // never fails
	return b
}

// ID returns the node's id, 20 bytes.
func (n *Node) ID() []byte { return slices.Clone(n.id) }

// AddrPort returns where the node listens.
func (n *Node) AddrPort() netip.AddrPort { return n.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Address returns where the node listens, as others write it.
func (n *Node) Address() string { return addressOf(n.AddrPort()) }

func addressOf(a netip.AddrPort) string {
	at, port, _ := strings.Cut(a.String(), ":")
	return "/ip4/" + at + "/udp/" + port
}

// Crashed is closed when a datagram has stopped the node.
func (n *Node) Crashed() <-chan struct{} { return n.crashed }

// Stop ends the node and waits for its goroutines.
func (n *Node) Stop() {
	select {
	case <-n.stopped:
	default:
		close(n.stopped)
	}
	_ = n.conn.Close()
	n.ended.Wait()
}

// Connect sends a PING to an address. Nothing says whether it is answered.
func (n *Node) Connect(address string) error {
	return n.do(func() { n.send(address, Datagram{MessageID: random(), Tag: ReqPing}) })
}

// Save stores a value here, and at the nodes that are found nearest to the hash of the key.
func (n *Node) Save(key, value []byte) error {
	hash := sha1.Sum(key)
	return n.do(func() {
		n.values[string(hash[:])] = stored{value, time.Now().Add(n.config.StorageTimeout)}
		n.begin(&lookup{target: hash[:], done: func(_ []byte, nearest []Peer) {
			for _, p := range nearest {
				n.send(p.Address, Datagram{MessageID: random(), Tag: ReqStore, Key: hash[:], Value: value})
			}
		}})
	})
}

// Query returns the value of a key, of this node or of another one, and nil if none was found.
func (n *Node) Query(key []byte) ([]byte, error) {
	hash := sha1.Sum(key)
	found := make(chan []byte, 1)
	err := n.do(func() {
		if s, ok := n.values[string(hash[:])]; ok {
			found <- s.value
			return
		}
		n.begin(&lookup{target: hash[:], value: true, done: func(value []byte, list []Peer) {
			if value != nil {
				// The farther, the longer: one of the defects.
				distance := min(len(list)/n.config.BucketSize+1, 30)
				life := n.config.StorageTimeout - n.config.StorageTimeout/time.Duration(uint64(1)<<distance)
				n.values[string(hash[:])] = stored{value, time.Now().Add(life)}
			}
			found <- value
		}})
	})
	if err != nil {
		return nil, err
	}
	select {
	case value := <-found:
		return value, nil
	case <-n.stopped:
		return nil, ErrStopped
	case <-n.crashed:
		return nil, ErrStopped
	}
}

// Peers returns the peers in the table.
func (n *Node) Peers() ([]Peer, error) {
	list := make(chan []Peer, 1)
	err := n.do(func() {
		var all []Peer
		for _, b := range n.table.buckets {
			for _, k := range b {
				all = append(all, k.Peer)
			}
		}
		list <- all
	})
	if err != nil {
		return nil, err
	}
	select {
	case all := <-list:
		return all, nil
	case <-n.stopped:
		return nil, ErrStopped
	case <-n.crashed:
		return nil, ErrStopped
	}
}

func (n *Node) do(command func()) error {
	select {
	case <-n.crashed:
		return ErrStopped
	default:
	}
	select {
	case n.commands <- command:
		return nil
	case <-n.stopped:
		return ErrStopped
	}
}

// read is the gateway: it receives, and with [Config.Slow] sends one datagram each time.
func (n *Node) read() {
	buffer := make([]byte, 65_536)
	for {
		if n.config.Slow {
			_ = n.conn.SetReadDeadline(time.Now().Add(n.config.Pace))
		}
		size, from, err := n.conn.ReadFromUDPAddrPort(buffer)
		switch {
		case err == nil:
			if d, err := Decode(bytes.Clone(buffer[:size])); err == nil {
				select {
				case n.received <- packet{addressOf(netip.AddrPortFrom(from.Addr().Unmap(), from.Port())), d}:
				default: // the program's memory has no end
				}
			}
		case errors.Is(err, net.ErrClosed):
			return
		}
		if n.config.Slow {
			select {
			case p := <-n.outgoing:
				n.transmit(p)
			default:
			}
		}
	}
}

func (n *Node) write() {
	for {
		select {
		case p := <-n.outgoing:
			n.transmit(p)
		case <-n.stopped:
			return
		}
	}
}

func (n *Node) transmit(p packet) {
	if to, ok := udp(p.address); ok {
		_, _ = n.conn.WriteToUDPAddrPort(p.d.Encode(), to) // too long a datagram fails in silence
	}
}

// manage owns the table and the values. A panic stops it, and nothing else.
func (n *Node) manage() {
	defer func() {
		if recover() != nil {
			close(n.crashed)
		}
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case p := <-n.received:
			n.handle(p)
		case command := <-n.commands:
			command()
		case <-tick.C:
			n.expire()
		case <-n.stopped:
			return
		}
		n.refresh()
	}
}

func (n *Node) send(to string, d Datagram) {
	d.Sender = n.id
	select {
	case n.outgoing <- packet{to, d}:
	default:
	}
}

func (n *Node) request(to Peer, d Datagram, answer func(*Datagram)) {
	d.MessageID = random()
	n.pending[string(d.MessageID)] = &pending{time.Now().Add(n.config.MessageTimeout), answer}
	n.send(to.Address, d)
}

func (n *Node) handle(p packet) {
	d := p.d
	answer := Datagram{MessageID: d.MessageID, Key: d.Key}
	switch d.Tag {
	case ReqPing:
		n.send(p.address, Datagram{MessageID: random(), Tag: ResPong})
	case ReqStore:
		n.values[string(d.Key)] = stored{d.Value, time.Now().Add(n.config.StorageTimeout)}
	case ReqFindValue:
		if s, ok := n.values[string(d.Key)]; ok {
			answer.Tag, answer.Value = ResValueFound, s.value
			n.send(p.address, answer)
			break
		}
		fallthrough
	case ReqFindNode:
		answer.Tag, answer.Peers = ResListPeers, n.table.nearest(d.Key, n.config.BucketSize)
		for _, listed := range answer.Peers {
			if strings.HasPrefix(listed.Address, "/onion/") {
				panic("seednode: an address that cannot be written")
			}
		}
		n.send(p.address, answer)
	}
	n.learn(Peer{p.address, d.Sender})
	if d.Tag < ResPong {
		return
	}
	if request, ok := n.pending[string(d.MessageID)]; ok {
		delete(n.pending, string(d.MessageID))
		request.answer(&d)
	}
}

// learn takes note of a peer, and asks the oldest one of a full bucket whether it is there.
// Its PONG has another message id, so that it is always taken for gone.
func (n *Node) learn(p Peer) {
	oldest, ask := n.table.learn(p, time.Now(), n.config.PeerTimeout)
	if !ask {
		return
	}
	n.request(oldest, Datagram{Tag: ReqPing}, func(answer *Datagram) {
		if answer == nil {
			n.table.evict(oldest, p, time.Now())
		}
	})
}

// expire ends the requests without an answer, and the values that are too old.
func (n *Node) expire() {
	now := time.Now()
	for id, p := range n.pending {
		if now.After(p.until) {
			delete(n.pending, id)
			p.answer(nil)
		}
	}
	for key, s := range n.values {
		if now.After(s.until) {
			delete(n.values, key)
		}
	}
}

// refresh looks up an id for each bucket that has no recent peer, whenever the size of the
// table has changed. The ids are not relative to the node's own.
func (n *Node) refresh() {
	size := n.table.count()
	changed := size != n.lastSize && !n.config.Calm
	n.lastSize = size
	if !changed && time.Since(n.refreshed) < n.config.PeerTimeout {
		return
	}
	n.refreshed = time.Now()
	for i, b := range n.table.buckets {
		if len(b) == 0 || time.Since(b[0].seen) > n.config.PeerTimeout {
			n.begin(&lookup{target: withZeros(i), done: func([]byte, []Peer) {}})
		}
	}
}

// withZeros returns a random id with exactly so many leading zero bits.
func withZeros(bits int) []byte {
	id := random()
	for i := range 8 * idLen {
		mask := byte(0x80) >> (i % 8)
		switch {
		case i < bits:
			id[i/8] &^= mask
		case i == bits:
			id[i/8] |= mask
		}
	}
	return id
}
