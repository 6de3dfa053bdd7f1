package seednode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/kad/seed"
	"github.com/gamelan-p2p/gamelan/tests/seednode"
)

// service starts a node of Gamelan in the network of emulated ones.
func service(t *testing.T, o seed.UDPOptions) (*seed.Service, *kad.Client) {
	t.Helper()
	n, err := seed.UDP(o)
	if err != nil {
		t.Fatal(err)
	}
	s := seed.New(nil, 0, 0, 0, 0, 0)
	if err := s.RegisterGateway(n); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	c, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func addressOf(c *kad.Client) string { return string(c.Addresses()[0]) }

// ready waits until nodes of Gamelan have entered the network.
func ready(t *testing.T, services []*seed.Service) {
	t.Helper()
	for _, s := range services {
		c, err := s.Client()
		if err != nil {
			t.Fatal(err)
		}
		until(t, "a node has joined", func() bool { return c.State().String() == "ready" })
	}
}

// join connects a service with another. Nobody repeats a datagram of these networks, and many nodes join
// at once: what is lost is asked again.
func join(t *testing.T, s *seed.Service, by *kad.Client) {
	t.Helper()
	for left := 2; ; left-- {
		_, err := s.Connect(t.Context(), addressOf(by))
		if err == nil {
			return
		}
		if left == 0 || !errors.Is(err, kad.ErrUnreachable) {
			t.Error(err)
			return
		}
	}
}

// queries returns whether a node of Gamelan finds a value.
func queries(t *testing.T, s *seed.Service, key, value string) func() bool {
	return func() bool {
		got, err := s.Query(t.Context(), []byte(key))
		if err != nil && !errors.Is(err, seed.ErrNotFound) && !errors.Is(err, kad.ErrIsolated) {
			t.Fatal(err)
		}
		return string(got) == value
	}
}

// finallyQueries returns whether a node of Gamelan finds a value. It asks again, until a time,
// when nobody has answered in time, but not when those who have answered do not have it.
func finallyQueries(t *testing.T, s *seed.Service, key, value string, end time.Time) bool {
	for {
		got, err := s.Query(t.Context(), []byte(key))
		_, limit := errors.AsType[*kad.LimitError](err)
		if err == nil {
			return string(got) == value
		}
		if !limit && !errors.Is(err, kad.ErrIsolated) || time.Now().After(end) {
			t.Logf("%s: got %v", key, err)
			return false
		}
	}
}

// TestConnectToSeed tells the id of an emulated node, which learns of this one; and fails
// within its context where nobody is.
//
// conforms: kad 5, 12
func TestConnectToSeed(t *testing.T) {
	for _, slow := range []bool{false, true} {
		n := start(t, seednode.Config{Slow: slow})
		s, c := service(t, seed.UDPOptions{})
		id, err := s.Connect(t.Context(), n.Address())
		if err != nil || !bytes.Equal(id[:20], n.ID()) {
			t.Fatalf("slow %t: got %s and %v, want %x", slow, id.Text(20), err, n.ID())
		}
		if _, err := c.Ping(t.Context(), overlay.SeedContact(id, overlay.Address(n.Address()))); err != nil {
			t.Errorf("slow %t: got %v for a PING, whose PONG has an id of its own", slow, err)
		}
		peers, err := n.Peers()
		own := c.ID()
		if err != nil || len(peers) != 1 || !bytes.Equal(peers[0].ID, own[:20]) || peers[0].Address != addressOf(c) {
			t.Errorf("slow %t: got %+v and %v, want the node that connected", slow, peers, err)
		}
	}
	s, _ := service(t, seed.UDPOptions{})
	nobody, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Connect(ctx, fmt.Sprintf("/ip4/127.0.0.1/udp/%d", nobody.LocalAddr().(*net.UDPAddr).Port)); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, kad.ErrUnreachable) {
		t.Errorf("nobody: got %v, want a typed error", err)
	}
	if _, err := s.Connect(t.Context(), "/ip6/::1/udp/9"); !errors.Is(err, kad.ErrUnreachable) {
		t.Errorf("another family: got %v, want ErrUnreachable", err)
	}
	if _, err := s.Connect(t.Context(), "/onion/abc:80"); err == nil {
		t.Error("onion: got no error")
	}
}

// TestValuesBothWays saves a value with a node of each kind. The others find both, and the
// emulated one can store here, because it has answered the probe.
//
// conforms: kad 8
func TestValuesBothWays(t *testing.T) {
	a := start(t, seednode.Config{Slow: true})
	s, c := service(t, seed.UDPOptions{})
	if err := a.Connect(addressOf(c)); err != nil {
		t.Fatal(err)
	}
	until(t, "the nodes know each other", func() bool { return c.View().Len() == 1 && knows(t, a, 1)() })
	if err := a.Save([]byte("theirs"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	until(t, "a value that the emulator saved is found", queries(t, s, "theirs", "1"))
	if err := s.Save(t.Context(), []byte("ours"), []byte("2")); err != nil {
		t.Fatal(err)
	}
	until(t, "the emulator finds a value saved here", finds(t, a, "ours", "2"))
	a.Stop() // what it saved is stored here
	if got, err := s.Query(t.Context(), []byte("theirs")); err != nil || string(got) != "1" {
		t.Errorf("got %q and %v, want what the emulator stored here", got, err)
	}
}

// TestMixedNetwork has 6 emulated nodes, with their defects, and 6 of Gamelan, all of which
// joined by the first; with GAMELAN_LONG 12 and 12. Each value saved by a node of Gamelan is found by all of
// Gamelan, and by all but two of the 12 or 24; the emulated nodes may ask several times. They send 20 times as
// fast as the program, whose storms last for a minute.
//
// conforms: kad 69
func TestMixedNetwork(t *testing.T) {
	t.Parallel() // most of the time it waits for the pace of the emulated nodes
	each := 6
	if os.Getenv("GAMELAN_LONG") != "" {
		each = 12
	}
	var services []*seed.Service
	var nodes []*seednode.Node
	began := time.Now()
	_, first := service(t, seed.UDPOptions{})
	for range each - 1 {
		s, _ := service(t, seed.UDPOptions{})
		services = append(services, s)
	}
	for range each {
		n := start(t, seednode.Config{Slow: true, Pace: time.Millisecond})
		var asked time.Time
		until(t, "an emulated node has the first one's answer", func() bool {
			if now := time.Now(); now.Sub(asked) > 5*time.Second {
				asked = now
				if err := n.Connect(addressOf(first)); err != nil {
					t.Fatal(err)
				}
			}
			return knows(t, n, 1)()
		})
		nodes = append(nodes, n)
	}
	var joining sync.WaitGroup
	for _, s := range services {
		joining.Go(func() {
			join(t, s, first)
		})
	}
	joining.Wait()
	t.Logf("joined after %v", time.Since(began))
	for _, n := range nodes {
		until(t, "the emulated nodes know half of the others", knows(t, n, each))
	}
	ready(t, services)
	t.Logf("ready after %v", time.Since(began))
	const values = 3
	key := func(i int) string { return fmt.Sprintf("key %d", i) }
	for i, s := range services[:values] {
		if err := s.Save(t.Context(), []byte(key(i)), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	var found [values]atomic.Int32
	want := int32(2*each - 2)
	enough := func() bool {
		for i := range values {
			if found[i].Load() < want {
				return false
			}
		}
		return true
	}
	end := time.Now().Add(patience)
	var asking sync.WaitGroup
	for _, s := range services {
		asking.Go(func() {
			for i := range values {
				if finallyQueries(t, s, key(i), "value", end) {
					found[i].Add(1)
				} else {
					t.Errorf("%s: a node of Gamelan does not find it", key(i))
				}
			}
		})
	}
	for _, n := range nodes {
		asking.Go(func() {
			for i := range values { // it asks again: its lookups end early, and its requests queue behind its storms
				for !finds(t, n, key(i), "value")() {
					if enough() || time.Now().After(end) {
						return
					}
				}
				found[i].Add(1)
			}
		})
	}
	asking.Wait()
	for i := range values {
		got := found[i].Load()
		t.Logf("%s: found by %d of %d others, %v after the first joined", key(i), got, 2*each-1, time.Since(began))
		if got < want {
			t.Errorf("%s: found by %d of %d others, want %d", key(i), got, 2*each-1, want)
		}
	}
}

// TestServicesAlone is the scenario that the seed's own numbers are of: 24 nodes that joined
// by the first. All of them find a value that one saved, and another one later.
//
// conforms: kad 69
func TestServicesAlone(t *testing.T) {
	var services []*seed.Service
	for range 24 {
		s, _ := service(t, seed.UDPOptions{})
		services = append(services, s)
	}
	c, err := services[0].Client()
	if err != nil {
		t.Fatal(err)
	}
	var joining sync.WaitGroup
	for _, s := range services[1:] {
		joining.Go(func() {
			join(t, s, c)
		})
	}
	joining.Wait()
	ready(t, services)
	for i, key := range []string{"first", "second"} {
		if err := services[5+i].Save(t.Context(), []byte(key), []byte("value")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for n, s := range services {
			if !finallyQueries(t, s, key, "value", began.Add(patience)) {
				t.Errorf("%s: node %d does not find it", key, n)
			}
		}
		t.Logf("%s: 24 nodes have found it within %v", key, time.Since(began))
	}
}

// caller is a socket that sends datagrams to a node of Gamelan.
type caller struct {
	t       *testing.T
	conn    *net.UDPConn
	to      netip.AddrPort
	id      []byte
	in, out int // bytes
}

func call(t *testing.T, c *kad.Client) *caller {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	to, _, ok := c.Addresses()[0].AddrPort()
	if !ok {
		t.Fatalf("got %v", c.Addresses())
	}
	return &caller{t: t, conn: conn, to: to, id: randomBytes()}
}

func (x *caller) send(b []byte) {
	x.t.Helper()
	if _, err := x.conn.WriteToUDPAddrPort(b, x.to); err != nil {
		x.t.Fatal(err)
	}
	x.out += len(b)
}

func (x *caller) ask(d seednode.Datagram) {
	x.t.Helper()
	d.Sender = x.id
	if d.MessageID == nil {
		d.MessageID = randomBytes()
	}
	x.send(d.Encode())
}

// receive returns the next datagram, and false if none comes in time.
func (x *caller) receive(within time.Duration) (seednode.Datagram, bool) {
	x.t.Helper()
	if err := x.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		x.t.Fatal(err)
	}
	buffer := make([]byte, 65_536)
	n, _, err := x.conn.ReadFromUDPAddrPort(buffer)
	if err != nil {
		return seednode.Datagram{}, false
	}
	x.in += n
	d, err := seednode.Decode(bytes.Clone(buffer[:n]))
	if err != nil {
		x.t.Fatal(err)
	}
	return d, true
}

// until returns the next datagram with a tag.
func (x *caller) until(tag seednode.Tag) seednode.Datagram {
	x.t.Helper()
	for {
		d, ok := x.receive(patience)
		if !ok {
			x.t.Fatalf("got no datagram with tag %d", tag)
		}
		if d.Tag == tag {
			return d
		}
	}
}

// prove answers the probe of the node.
func (x *caller) prove() {
	x.t.Helper()
	x.ask(seednode.Datagram{Tag: seednode.ReqPing})
	probe := x.until(seednode.ReqFindNode)
	x.ask(seednode.Datagram{MessageID: probe.MessageID, Tag: seednode.ResListPeers})
}

// TestSixHundredRequests of one proven address come at once, and all are answered.
//
// conforms: kad 4, 9
func TestSixHundredRequests(t *testing.T) {
	_, c := service(t, seed.UDPOptions{})
	x := call(t, c)
	x.prove()
	const n = 600 - 2 // the PING, and the first request of the node may cost one
	answers := map[string]bool{}
	began := time.Now()
	for sent := 0; sent < n || len(answers) < n; {
		for range min(50, n-sent) { // what the system's buffer takes for sure
			id := randomBytes()
			answers[string(id)] = false
			x.ask(seednode.Datagram{MessageID: id, Tag: seednode.ReqFindNode, Key: id})
			sent++
		}
		for open := true; open; {
			open = false
			d, ok := x.receive(patience)
			if !ok {
				t.Fatalf("got %d answers, want %d", len(answers), n)
			}
			if _, asked := answers[string(d.MessageID)]; asked && d.Tag == seednode.ResListPeers {
				answers[string(d.MessageID)] = true
			}
			for _, answered := range answers {
				open = open || !answered
			}
		}
	}
	t.Logf("%d requests answered in %v", n, time.Since(began))
	if time.Since(began) > 10*time.Second {
		t.Log("this machine took more than ten seconds, in which more requests are allowed")
	}
}

// TestBytesWithoutProof counts the bytes that an address gets which answers no probe, for each
// kind of request, over sockets. A STORE is not kept.
//
// conforms: kad 7
func TestBytesWithoutProof(t *testing.T) {
	s, c := service(t, seed.UDPOptions{})
	for i := range 30 { // contacts and values that could be sent
		n := start(t, seednode.Config{Calm: true})
		if _, err := s.Connect(t.Context(), n.Address()); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(t.Context(), fmt.Append(nil, i), make([]byte, 1200)); err != nil {
			t.Fatal(err)
		}
	}
	key, err := c.Key([]byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	stored := randomBytes()
	for name, d := range map[string]seednode.Datagram{
		"ping":       {Tag: seednode.ReqPing},
		"find node":  {Tag: seednode.ReqFindNode, Key: randomBytes()},
		"find value": {Tag: seednode.ReqFindValue, Key: key[:20]},
		"store":      {Tag: seednode.ReqStore, Key: stored, Value: make([]byte, 500)},
		"list":       {Tag: seednode.ResListPeers, Peers: []seednode.Peer{{Address: "/ip4/127.0.0.1/udp/9", ID: randomBytes()}}},
		"pong":       {Tag: seednode.ResPong},
	} {
		x := call(t, c)
		for range 5 {
			x.ask(d)
		}
		// What another caller asks afterwards is answered afterwards, except for values, which
		// go through another actor.
		last := call(t, c)
		last.ask(seednode.Datagram{Tag: seednode.ReqFindValue, Key: key[:20]})
		last.until(seednode.ResListPeers)
		for {
			if _, ok := x.receive(100 * time.Millisecond); !ok {
				break
			}
		}
		if x.in > 3*x.out {
			t.Errorf("%s: got %d bytes for %d", name, x.in, x.out)
		}
		t.Logf("%s: %d bytes for %d", name, x.in, x.out)
	}
	var k kad.Key
	copy(k[:], stored)
	if r, err := c.Get(t.Context(), k); err == nil {
		t.Errorf("got %d bytes of a STORE without proof", len(r.Value))
	}
}

// TestAnyDatagram sends bytes of all kinds; the node answers afterwards.
func TestAnyDatagram(t *testing.T) {
	_, c := service(t, seed.UDPOptions{})
	x := call(t, c)
	good := seednode.Datagram{MessageID: randomBytes(), Sender: x.id, Tag: seednode.ReqFindNode, Key: randomBytes()}.Encode()
	var all [][]byte
	for n := range good {
		all = append(all, good[:n])
		changed := bytes.Clone(good)
		changed[n] ^= 0xff
		all = append(all, changed)
	}
	all = append(all, nil, bytes.Repeat([]byte{0xff}, 65_507), make([]byte, 65_507), append(bytes.Clone(good), make([]byte, 60_000)...))
	for _, id := range [][]byte{nil, make([]byte, 19), make([]byte, 21), make([]byte, 4000)} {
		for tag := range seednode.Tag(8) {
			all = append(all,
				seednode.Datagram{MessageID: id, Sender: x.id, Tag: tag, Key: x.id}.Encode(),
				seednode.Datagram{MessageID: x.id, Sender: id, Tag: tag, Key: x.id}.Encode(),
				seednode.Datagram{MessageID: x.id, Sender: x.id, Tag: tag, Key: id, Peers: []seednode.Peer{{Address: "/onion/x:1", ID: id}}}.Encode())
		}
	}
	for i, b := range all {
		x.send(b)
		if i%20 == 19 { // no more than the system's buffer takes
			pause := call(t, c)
			pause.ask(seednode.Datagram{Tag: seednode.ReqPing})
			pause.until(seednode.ResPong)
		}
	}
	x = call(t, c)
	x.ask(seednode.Datagram{Tag: seednode.ReqPing})
	x.until(seednode.ResPong)
}
