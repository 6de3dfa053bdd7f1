package seednode_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/seed"
	"github.com/gamelan-p2p/gamelan/tests/seednode"
)

// answered has the node answer a PING: what was sent before has been read.
func (x *caller) answered() {
	x.t.Helper()
	id := randomBytes()
	x.ask(seednode.Datagram{MessageID: id, Tag: seednode.ReqPing})
	for !bytes.Equal(x.until(seednode.ResPong).MessageID, id) { // an earlier request has its answer late
	}
}

// addressAt is where a caller is reached.
func addressAt(x *caller) string {
	return "/ip4/" + strings.Replace(x.conn.LocalAddr().String(), ":", "/udp/", 1)
}

// TestBadDatagrams sends each kind of bytes that is no message, and messages in which an id, a
// key or a target has another length. Each is dropped and counted, and changes nothing.
//
// conforms: kad 67
func TestBadDatagrams(t *testing.T) {
	_, c := service(t, seed.UDPOptions{})
	x := call(t, c)
	x.prove()
	noise := rand.NewChaCha8([32]byte{1})
	random := make([]byte, 65_507)
	if _, err := noise.Read(random); err != nil {
		t.Fatal(err)
	}
	whole := func(d seednode.Datagram) []byte {
		d.Sender = x.id
		if d.MessageID == nil {
			d.MessageID = randomBytes()
		}
		return d.Encode()
	}
	key, peer := randomBytes(), seednode.Peer{Address: "/ip4/127.0.0.1/udp/9", ID: randomBytes()}
	list := whole(seednode.Datagram{Tag: seednode.ResListPeers, Peers: []seednode.Peer{peer}})
	const afterTag = 28 + 28 + 4
	with := func(b []byte, at int, n uint64) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint64(b[at:], n)
		return b
	}
	utf8 := bytes.Clone(list)
	utf8[bytes.Index(utf8, []byte("/ip4"))] = 0xff
	bad := map[string][]byte{
		"empty":                          {},
		"random bytes":                   random,
		"truncated":                      whole(seednode.Datagram{Tag: seednode.ReqFindNode, Key: key})[:80],
		"unknown tag":                    whole(seednode.Datagram{Tag: 7}),
		"length above the rest":          with(whole(seednode.Datagram{Tag: seednode.ReqFindNode, Key: key}), afterTag, 21),
		"enormous length":                with(whole(seednode.Datagram{Tag: seednode.ReqFindNode, Key: key}), afterTag, 1<<63),
		"count above a sixteenth":        with(list, afterTag, 1+uint64(len(list)-afterTag-8)/16),
		"enormous count":                 with(list, afterTag, 1<<62),
		"text that is not UTF-8":         utf8,
		"target of 19 bytes":             whole(seednode.Datagram{Tag: seednode.ReqFindNode, Key: key[:19]}),
		"key of 21 bytes":                whole(seednode.Datagram{Tag: seednode.ReqFindValue, Key: append(bytes.Clone(key), 0)}),
		"no key of a value":              whole(seednode.Datagram{Tag: seednode.ReqStore, Value: []byte("v")}),
		"listed id of 32 bytes":          whole(seednode.Datagram{Tag: seednode.ResListPeers, Peers: []seednode.Peer{{Address: peer.Address, ID: make([]byte, 32)}}}),
		"message id of 8 bytes":          whole(seednode.Datagram{MessageID: make([]byte, 8), Tag: seednode.ReqPing}),
		"sender of 1 byte, truncated":    whole(seednode.Datagram{Tag: seednode.ReqPing})[:40],
		"sender without a byte of an id": seednode.Datagram{MessageID: key, Tag: seednode.ReqPing}.Encode(),
	}
	x.answered()
	before, contacts := c.Stats(), c.View().Len()
	for name, b := range bad {
		was := c.Stats().Malformed
		x.send(b)
		x.answered()
		if got := c.Stats().Malformed - was; got != 1 {
			t.Errorf("%s: got %d datagrams counted, want 1", name, got)
		}
	}
	after := c.Stats()
	for verb, n := range after.Requests {
		if want := before.Requests[verb].Served; verb != "ping" && n.Served != want {
			t.Errorf("got %d requests served as %s, want %d", n.Served, verb, want)
		}
	}
	if got := c.View().Len(); got != contacts {
		t.Errorf("got %d contacts, want %d as before", got, contacts)
	}
}

// TestBadListedContacts answers a query with contacts that cannot be asked on this wire: the
// one good contact between them is asked, and nobody else.
//
// conforms: kad 67
func TestBadListedContacts(t *testing.T) {
	_, c := service(t, seed.UDPOptions{})
	x, neighbour := call(t, c), call(t, c)
	connected := make(chan error, 1)
	go func() {
		_, err := c.Connect(t.Context(), addressAt(x))
		connected <- err
	}()
	probe := x.until(seednode.ReqFindNode)
	x.ask(seednode.Datagram{MessageID: probe.MessageID, Tag: seednode.ResListPeers})
	if err := <-connected; err != nil {
		t.Fatal(err)
	}
	var list []seednode.Peer
	for _, a := range []string{
		"/onion/aaaaaaaaaaaaaaaa:80", "/ip4/127.0.0.1/tcp/9", "", "/", "/ip4/0.0.0.0/udp/9", "/ip4/224.0.0.1/udp/9", "/ip4/127.0.0.1/udp/0",
		addressOf(c), "/ip4/127.0.0.1/udp/9/" + strings.Repeat("ipfs/", 40), "/ip6/::1/udp/9", "nonsense",
	} {
		list = append(list, seednode.Peer{Address: a, ID: randomBytes()})
	}
	list = slices.Insert(list, len(list)/2, seednode.Peer{Address: addressAt(neighbour), ID: neighbour.id})
	key, err := c.Key([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan []kad.Step, 1)
	go func() {
		var steps []kad.Step
		_, err := c.Get(t.Context(), key, kad.Traced(func(s kad.Step) { steps = append(steps, s) }))
		if !errors.Is(err, seed.ErrNotFound) {
			t.Errorf("got %v, want nothing found", err)
		}
		ended <- steps
	}()
	for _, y := range []*caller{x, neighbour} {
		q := y.until(seednode.ReqFindValue)
		y.ask(seednode.Datagram{MessageID: q.MessageID, Tag: seednode.ResListPeers, Peers: list})
	}
	var steps []kad.Step
	select {
	case steps = <-ended:
	case <-time.After(patience):
		t.Fatal("the query has not ended")
	}
	for _, step := range steps {
		if id := step.Contact.ID; !bytes.Equal(id[:20], x.id) && !bytes.Equal(id[:20], neighbour.id) {
			t.Errorf("got %s asked at %s", id.Text(20), step.Contact.Addresses)
		}
	}
}
