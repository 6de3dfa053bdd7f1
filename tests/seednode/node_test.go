package seednode_test

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/seednode"
)

func start(t *testing.T, c seednode.Config) *seednode.Node {
	t.Helper()
	n, err := seednode.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

// patience is how long a test waits for a state: more than a machine under load needs.
const patience = 4 * time.Minute

// until repeats a question to a node until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	gamelantest.Eventually(t, patience, what, yes)
}

func knows(t *testing.T, n *seednode.Node, count int) func() bool {
	return func() bool {
		peers, err := n.Peers()
		if err != nil {
			t.Fatal(err)
		}
		return len(peers) >= count
	}
}

// finds returns whether a node finds a value; it may ask several times, since a lookup of the
// seed can end too early.
func finds(t *testing.T, n *seednode.Node, key, value string) func() bool {
	return func() bool {
		got, err := n.Query([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Equal(got, []byte(value))
	}
}

// TestNetwork joins emulated nodes through one of them: a value saved on one is found by all.
func TestNetwork(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprint("slow ", slow), func(t *testing.T) {
			first := start(t, seednode.Config{Calm: true, Slow: slow})
			nodes := []*seednode.Node{first}
			for range 4 {
				n := start(t, seednode.Config{Calm: true, Slow: slow})
				if err := n.Connect(first.Address()); err != nil {
					t.Fatal(err)
				}
				until(t, "a node learns of the first", knows(t, n, 1))
				nodes = append(nodes, n)
			}
			if err := nodes[4].Save([]byte("key"), []byte("value")); err != nil {
				t.Fatal(err)
			}
			for i, n := range nodes {
				until(t, fmt.Sprintf("node %d finds the value", i), finds(t, n, "key", "value"))
			}
			if got, err := nodes[0].Query([]byte("absent")); got != nil || err != nil {
				t.Errorf("an absent key: got %q and %v, want nothing", got, err)
			}
		})
	}
}

// TestStorm counts the lookups of a node that has just learned of its first peer: one for
// each bucket but that peer's.
func TestStorm(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n := start(t, seednode.Config{})
	ping := seednode.Datagram{MessageID: make([]byte, 20), Sender: bytes.Repeat([]byte{0x55}, 20), Tag: seednode.ReqPing}
	if _, err := conn.WriteToUDPAddrPort(ping.Encode(), n.AddrPort()); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	count := map[seednode.Tag]int{}
	buffer := make([]byte, 2000)
	for count[seednode.ResPong]+count[seednode.ReqFindNode] < 161 {
		size, _, err := conn.ReadFromUDP(buffer)
		if err != nil {
			t.Fatalf("got %v, then %v; want 1 PONG and 160 FIND_NODE", count, err)
		}
		d, err := seednode.Decode(buffer[:size])
		if err != nil {
			t.Fatal(err)
		}
		count[d.Tag]++
		if d.Tag == seednode.ResPong && bytes.Equal(d.MessageID, ping.MessageID) {
			t.Error("got the message id of the PING back, want another one")
		}
	}
	if count[seednode.ResPong] != 1 || count[seednode.ReqFindNode] != 160 {
		t.Errorf("got %v, want 1 PONG and 160 FIND_NODE", count)
	}
}

// TestCrashes sends what stops the program: ids of another length, and an onion address that
// is listed afterwards.
func TestCrashes(t *testing.T) {
	id, short := bytes.Repeat([]byte{0x55}, 20), bytes.Repeat([]byte{0x55}, 19)
	for name, list := range map[string][]seednode.Datagram{
		"sender":       {{MessageID: id, Sender: short, Tag: seednode.ReqPing}},
		"target":       {{MessageID: id, Sender: id, Tag: seednode.ReqFindNode, Key: short}},
		"absent key":   {{MessageID: id, Sender: id, Tag: seednode.ReqFindValue, Key: short}},
		"onion listed": {{MessageID: id, Sender: id, Tag: seednode.ReqFindNode, Key: id}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			n := start(t, seednode.Config{})
			for _, d := range list {
				if _, err := conn.WriteToUDPAddrPort(d.Encode(), n.AddrPort()); err != nil {
					t.Fatal(err)
				}
			}
			if name == "onion listed" {
				answerWithOnion(t, conn, n)
			}
			select {
			case <-n.Crashed():
			case <-time.After(patience):
				t.Error("got no crash")
			}
			if err := n.Connect("/ip4/127.0.0.1/udp/9"); err == nil {
				t.Error("got a call answered after the crash")
			}
		})
	}
}

// answerWithOnion answers the node's lookups with an onion address, and then asks for its
// peers.
func answerWithOnion(t *testing.T, conn *net.UDPConn, n *seednode.Node) {
	t.Helper()
	id := bytes.Repeat([]byte{0x55}, 20)
	buffer := make([]byte, 2000)
	for answered := false; !answered; {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		size, _, err := conn.ReadFromUDP(buffer)
		if err != nil {
			t.Fatal(err)
		}
		d, err := seednode.Decode(buffer[:size])
		if err != nil {
			t.Fatal(err)
		}
		if d.Tag != seednode.ReqFindNode {
			continue
		}
		answer := seednode.Datagram{MessageID: d.MessageID, Sender: id, Tag: seednode.ResListPeers, Peers: []seednode.Peer{
			{Address: "/onion/aaaaaaaaaaaaaaaa:80", ID: bytes.Repeat([]byte{0x66}, 20)},
		}}
		if _, err := conn.WriteToUDPAddrPort(answer.Encode(), n.AddrPort()); err != nil {
			t.Fatal(err)
		}
		answered = true
	}
	ask := seednode.Datagram{MessageID: id, Sender: id, Tag: seednode.ReqFindNode, Key: id}
	if _, err := conn.WriteToUDPAddrPort(ask.Encode(), n.AddrPort()); err != nil {
		t.Fatal(err)
	}
}
