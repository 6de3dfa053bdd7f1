package seednode_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/tests/seednode"
)

// peer is the least that a compatible node has to do (spec: kad A9), made of the codec, the
// choice of contacts and the proofs of packages seedwire and limit.
type peer struct {
	t     *testing.T
	codec seedwire.Codec
	conn  *net.UDPConn
	id    overlay.ID

	mu       sync.Mutex
	proofs   *limit.Proofs
	contacts []overlay.Contact
	values   map[overlay.Key]*overlay.Record
	probes   map[overlay.RequestID]overlay.Address
	in, out  map[overlay.Address]int // bytes, without proof
	refused  int                     // STOREs without proof
	changed  chan struct{}           // after each datagram
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{
		t: t, codec: codec(t), conn: conn, proofs: limit.NewProofs(), values: map[overlay.Key]*overlay.Record{}, probes: map[overlay.RequestID]overlay.Address{},
		in: map[overlay.Address]int{}, out: map[overlay.Address]int{}, changed: make(chan struct{}, 1),
	}
	copy(p.id[:], randomBytes())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return p
}

func randomBytes() []byte {
	b := make([]byte, 20)
	rand.Read(b)
	return b
}

func (p *peer) address() string {
	return string(overlay.UDPAddress(p.conn.LocalAddr().(*net.UDPAddr).AddrPort()))
}

func (p *peer) read() {
	buffer := make([]byte, seedwire.ReceiveBuffer)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		m, err := p.codec.Decode(bytes.Clone(buffer[:n]))
		if err != nil {
			p.t.Errorf("got %x, which is %v", buffer[:n], err)
			continue
		}
		p.mu.Lock()
		p.handle(overlay.UDPAddress(from), &m, n)
		p.mu.Unlock()
		select {
		case p.changed <- struct{}{}:
		default:
		}
	}
}

func (p *peer) handle(from overlay.Address, m *overlay.Message, size int) {
	now := time.Now()
	if !p.proofs.Reached(from, now) {
		p.in[from] += size
	}
	p.proofs.Received(from, size, now)
	answer := overlay.Message{ID: m.ID}
	switch m.Verb {
	case overlay.Ping:
		answer.Verb = overlay.Pong
	case overlay.FindNode, overlay.FindValue:
		answer.Verb = overlay.Nodes
		room := min(p.proofs.Room(from, now), seedwire.MaxList)
		overlay.SortByDistance(m.Target, p.contacts)
		answer.Contacts = p.codec.Select(p.contacts, seedwire.Asker{ID: m.Sender, Address: from}, p.id, 20, room)
		if r := p.values[m.Target]; r != nil && m.Verb == overlay.FindValue {
			answer.Verb, answer.Record, answer.Contacts = overlay.Value, r, nil
		}
	case overlay.Store:
		if p.proofs.Proven(from, m.Sender, now) {
			p.values[m.Target] = m.Record
		} else {
			p.refused++
		}
	case overlay.Nodes, overlay.Value:
		if to, ok := p.probes[m.ID]; ok && to == from {
			delete(p.probes, m.ID)
			p.proofs.Prove(from, m.Sender, now)
			p.contacts = append(p.contacts, overlay.SeedContact(m.Sender, from))
		}
	}
	if answer.Verb != overlay.NoVerb && p.proofs.Send(from, p.codec.Size(&answer), now) {
		p.send(from, &answer)
	}
	probe := overlay.Message{Verb: overlay.FindNode, Target: p.id}
	copy(probe.ID[:], randomBytes())
	if p.proofs.Probe(from, m.Sender, p.codec.Size(&probe), now) {
		p.probes[probe.ID] = from
		p.send(from, &probe)
	}
}

func (p *peer) send(to overlay.Address, m *overlay.Message) {
	m.Sender = p.id
	b, err := p.codec.Append(nil, m)
	if err != nil {
		p.t.Errorf("%v: %v", m.Verb, err)
		return
	}
	if !p.proofs.Reached(to, time.Now()) {
		if p.out[to] += len(b); p.out[to] > limit.Amplification*p.in[to] {
			p.t.Errorf("%s: got %d bytes for %d", to, p.out[to], p.in[to])
		}
	}
	at, _, _ := to.AddrPort()
	if _, err := p.conn.WriteToUDPAddrPort(b, at); err != nil {
		p.t.Errorf("%s: %v", to, err)
	}
}

// repeatEvery is the time after which await repeats a datagram that may have been lost.
const repeatEvery = 5 * time.Second

// await waits until a condition holds, which is looked at after each datagram. repeat is
// called now and every [repeatEvery], since the system may drop datagrams of UDP; nil: never.
func (p *peer) await(what string, repeat func() error, holds func() bool) {
	p.t.Helper()
	end := time.After(patience)
	again := time.NewTicker(repeatEvery)
	defer again.Stop()
	if repeat == nil {
		repeat = func() error { return nil }
	}
	if err := repeat(); err != nil {
		p.t.Fatal(err)
	}
	for {
		p.mu.Lock()
		ok := holds()
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.changed:
		case <-again.C:
			if err := repeat(); err != nil {
				p.t.Fatal(err)
			}
		case <-end:
			p.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// TestPeerOfSeeds is the only bootstrap address of two emulated nodes, with their pace and
// their storms. Both prove their addresses by answering a probe; a value saved on one is
// found by the other, and stored here; and no address without proof gets more than three
// times what it sent.
//
// conforms: kad 8
func TestPeerOfSeeds(t *testing.T) {
	p := newPeer(t)
	a, b := start(t, seednode.Config{Slow: true}), start(t, seednode.Config{Slow: true})
	both := []*seednode.Node{a, b}
	connect := func() error { return errors.Join(a.Connect(p.address()), b.Connect(p.address())) }
	p.await("both nodes prove their addresses", connect, func() bool {
		now := time.Now()
		return p.proofs.Reached(overlay.Address(a.Address()), now) && p.proofs.Reached(overlay.Address(b.Address()), now)
	})
	// A node proves its address after the lookups of its storm, and looks for nobody by itself
	// afterwards. So it has not met the other one yet if that was the later one.
	until(t, "the nodes know each other", func() bool {
		for _, n := range both {
			if _, err := n.Query([]byte("absent")); err != nil {
				t.Fatal(err)
			}
		}
		return knows(t, a, 2)() && knows(t, b, 2)()
	})
	key, err := overlay.HashKey(overlay.SHA1, []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	save := func() error { return a.Save([]byte("key"), []byte("value")) }
	p.await("the value is stored here", save, func() bool { return p.values[key] != nil && string(p.values[key].Value) == "value" })
	until(t, "the other node finds the value", finds(t, b, "key", "value"))

	// What is stored here alone is found. A lookup ends with the first answer that names nobody new,
	// and a might answer first each time. So a is stopped before.
	a.Stop()
	absent, err := overlay.HashKey(overlay.SHA1, []byte("ours"))
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.values[absent] = &overlay.Record{Key: absent, Value: []byte("from here")}
	p.mu.Unlock()
	until(t, "a value of ours is found", finds(t, b, "ours", "from here"))
}

// TestStoreWithoutProof sends a STORE from an address that answers no probe, and again after
// it has answered one.
//
// conforms: kad 8
func TestStoreWithoutProof(t *testing.T) {
	p := newPeer(t)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to, err := netip.ParseAddrPort(p.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	id, key := bytes.Repeat([]byte{0x55}, 20), bytes.Repeat([]byte{0x66}, 20)
	send := func(d seednode.Datagram) {
		d.Sender = id
		if _, err := conn.WriteToUDPAddrPort(d.Encode(), to); err != nil {
			t.Fatal(err)
		}
	}
	put := seednode.Datagram{MessageID: id, Tag: seednode.ReqStore, Key: key, Value: []byte("value")}
	send(put)
	p.await("a STORE is refused", nil, func() bool { return p.refused == 1 && len(p.values) == 0 })

	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2000)
	n, _, err := conn.ReadFromUDP(buffer)
	if err != nil {
		t.Fatal(err)
	}
	probe, err := seednode.Decode(buffer[:n])
	if err != nil || probe.Tag != seednode.ReqFindNode {
		t.Fatalf("got %+v and %v, want a FIND_NODE as the probe", probe, err)
	}
	send(seednode.Datagram{MessageID: probe.MessageID, Tag: seednode.ResPong}) // proves nothing
	send(put)
	p.await("a STORE after a PONG is refused", nil, func() bool { return p.refused == 2 && len(p.values) == 0 })
	send(seednode.Datagram{MessageID: probe.MessageID, Tag: seednode.ResListPeers})
	send(put)
	p.await("a STORE after the answer is kept", nil, func() bool { return p.refused == 2 && len(p.values) == 1 })
}
