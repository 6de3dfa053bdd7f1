package tests

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The peers of the tests of hostile announcements: one sends, for one who may be somebody
// else.
var (
	sends = gamelantest.Secret(80)
	third = gamelantest.Secret(81)
)

// announced is an announcement as somebody hostile makes it.
type announced struct {
	typ       wire.MessageType
	by        *identity.Secret // signs the message; default: who sends it
	of        *identity.Secret // signs the claim; default: by
	addresses []string         // default: one that is usable
	nonce     uint64
	dated     time.Duration
	edit      func(*wire.Announcement)
	part      []byte // in place of the announcement
	unsigned  bool
}

// compose returns the message, for the node if it is a Discovery.
func (a announced) compose(t *testing.T, node identity.PublicKey) wire.Envelope {
	t.Helper()
	if a.by == nil {
		a.by = sends
	}
	if a.of == nil {
		a.of = a.by
	}
	if a.addresses == nil {
		a.addresses = []string{"/memory/80"}
	}
	claim, err := identity.SignClaim(a.of, identity.FeatureNode, binaries(t, a.addresses...), time.Now().Add(a.dated), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	content := wire.NewAnnouncement(claim, a.nonce)
	if a.edit != nil {
		a.edit(&content)
	}
	if a.part == nil {
		a.part = content.Append(nil)
	}
	f := forged{from: a.by, typ: a.typ, signed: true, expires: time.Hour, body: wire.AppendBody(nil, a.part)}
	switch a.typ {
	case wire.TypeJoin:
		f.to = wire.To(a.by.PublicKey())
	case wire.TypeDiscovery:
		f.to, f.sealed = wire.To(node), !a.unsigned
	}
	e := f.compose(t)
	if a.unsigned {
		e.Header.Signature = nil
	}
	return e
}

func binaries(t *testing.T, list ...string) (all [][]byte) {
	t.Helper()
	for _, s := range list {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a.Bytes())
	}
	return all
}

// TestBubbleDiscoveryBans sends a node every kind of bad Join, Discovery and response. For
// each it bans the peer that the table names, for as long as the table says, and nobody
// else. It stores and relays only what is in order.
//
// conforms: dht 78, 80, 81, 85-89, 130-132, 134, 136
// conforms: V 4, 5
func TestBubbleDiscoveryBans(t *testing.T) {
	const (
		join     = wire.TypeJoin
		discover = wire.TypeDiscovery
		response = wire.TypeDiscoveryResponse
	)
	foreign := func(a *wire.Announcement) {
		key := third.PublicKey()
		a.Key = key[:]
	}
	forge := func(a *wire.Announcement) { a.Signature.UpdatedAt-- }
	strange := func(a *wire.Announcement) { a.Features = 4 }
	unreadable := func(a *wire.Announcement) { a.Addresses = [][]byte{{0xff, 0xff, 0x7f}} }
	for _, test := range []struct {
		name   string
		m      announced
		known  bool          // the node knows the third
		before time.Duration // the third is banned for so long before
		ban    time.Duration // of the sender
		banned time.Duration // of the third
		stored bool          // the claim of the author
		passed bool          // relayed to a neighbour
		reply  bool          // a response goes to the author
	}{
		{name: "join", m: announced{typ: join}, stored: true, passed: true},
		{name: "join of a third", m: announced{typ: join, by: third}, stored: true, passed: true},
		{name: "join, unsigned", m: announced{typ: join, unsigned: true}, ban: protocol.BanMedium},
		{name: "join, undecodable", m: announced{typ: join, part: []byte{0xff}}, ban: protocol.BanLong},
		{name: "join, undecodable, of a known third", m: announced{typ: join, by: third, part: []byte{0xff}}, known: true, banned: protocol.BanLong},
		{name: "join, undecodable, of an unknown third", m: announced{typ: join, by: third, part: []byte{0xff}}},
		{name: "join with another's key", m: announced{typ: join, edit: foreign}, known: true, ban: protocol.BanLong},
		{name: "join with another's claim", m: announced{typ: join, of: third}, known: true, ban: protocol.BanLong},
		{name: "join without features that exist", m: announced{typ: join, edit: strange}},
		{name: "join with an unreadable address", m: announced{typ: join, edit: unreadable}},
		{name: "join with a malformed address", m: announced{typ: join, addresses: []string{"/ip4/8.8.8.8/tcp/0"}}, ban: protocol.BanMedium},
		{name: "join with a forged claim", m: announced{typ: join, edit: forge}, ban: protocol.BanMedium},
		{name: "join with a forged claim, of a known third", m: announced{typ: join, by: third, edit: forge}, known: true, banned: protocol.BanMedium},
		{name: "join, dated ahead", m: announced{typ: join, dated: 25 * time.Hour}, ban: protocol.BanMedium},
		{name: "join, 6 addresses", m: announced{typ: join, addresses: slices.Repeat([]string{"/memory/80"}, 6)}, ban: protocol.BanMedium},
		{name: "join, no address", m: announced{typ: join, addresses: []string{}}},
		{name: "join, no usable address", m: announced{typ: join, by: third, addresses: []string{"/dns4/a_b.com/tcp/1"}}},
		{name: "join, one usable address", m: announced{typ: join, by: third, addresses: []string{"/dns4/a_b.com/tcp/1", "/memory/9"}}, stored: true, passed: true},
		{name: "join of a banned third", m: announced{typ: join, by: third}, known: true, before: time.Hour, banned: time.Hour, stored: true},

		{name: "discovery", m: announced{typ: discover, nonce: 7}, stored: true, reply: true},
		{name: "discovery of a third", m: announced{typ: discover, by: third}, stored: true}, // nobody is where it says that it is
		{name: "discovery of a banned third", m: announced{typ: discover, by: third}, known: true, before: time.Hour, banned: time.Hour, stored: true},
		{name: "discovery in clear, unsigned", m: announced{typ: discover, unsigned: true}, ban: protocol.BanMedium},
		{name: "discovery, undecodable", m: announced{typ: discover, part: []byte{0xff}}, ban: protocol.BanLong},
		{name: "discovery with another's claim", m: announced{typ: discover, of: third}, known: true, ban: protocol.BanLong},
		{name: "discovery, no claim", m: announced{typ: discover, edit: strange}, ban: protocol.BanLong},
		{name: "discovery, no claim, of a known third", m: announced{typ: discover, by: third, edit: strange}, known: true, banned: protocol.BanLong},
		{name: "discovery with a forged claim", m: announced{typ: discover, edit: forge}},
		{name: "discovery, no usable address", m: announced{typ: discover, addresses: []string{"/dns4/a_b.com/tcp/1"}}},

		{name: "response to nothing", m: announced{typ: response, nonce: 7}},
		{name: "response, unsigned", m: announced{typ: response, unsigned: true}, ban: protocol.BanMedium},
		{name: "response, undecodable", m: announced{typ: response, part: []byte{0xff}}, ban: protocol.BanLong},
		{name: "response with another's claim", m: announced{typ: response, of: third}, known: true, ban: protocol.BanLong},
		{name: "response of a known third", m: announced{typ: response, by: third}, known: true, ban: protocol.BanLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				node := startMember(net, gamelan.Config{}, quiet)
				sender, toSender := sniffedAs(net, sends)
				neighbour, toNeighbour := sniffedAs(net, nil)
				net.Connect(sender, node.Node)
				net.Connect(node.Node, neighbour)
				if test.known {
					err := node.Peers().Add(t.Context(), peerstore.Peer{
						Key: third.PublicKey(), Features: identity.FeatureNode,
						Addresses: []peerstore.Address{{Addr: neighbour.Addr, Source: peerstore.Config}},
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				if test.before > 0 {
					if err := node.Peers().Ban(t.Context(), third.PublicKey().NodeID(), test.before, "test"); err != nil {
						t.Fatal(err)
					}
				}
				post(t, sender, node.Node, test.m.compose(t, node.PublicKey()))
				time.Sleep(time.Second)
				for _, who := range []struct {
					name string
					key  identity.PublicKey
					ban  time.Duration
				}{{"sender", sends.PublicKey(), test.ban}, {"third", third.PublicKey(), test.banned}} {
					until, reason, banned := node.Peers().Banned(who.key.NodeID())
					got := time.Until(until) + time.Second
					if banned != (who.ban > 0) || banned && (got < who.ban || got > who.ban+time.Second) {
						t.Errorf("%s: got banned %v for %v (%s), want for %v", who.name, banned, got, reason, who.ban)
					}
				}
				author := sends
				if test.m.by != nil {
					author = test.m.by
				}
				p, _ := node.Peers().Get(author.PublicKey().NodeID())
				stored := slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool {
					return a.Source == peerstore.JoinMessage || a.Source == peerstore.Discovery
				})
				if stored != test.stored {
					t.Errorf("got stored %v (%+v), want %v", stored, p.Addresses, test.stored)
				}
				if passed := toNeighbour.total() > 0; passed != test.passed {
					t.Errorf("got relayed %v, want %v", passed, test.passed)
				}
				if reply := node.DHT().Network().Searches.Answered > 0; reply != test.reply {
					t.Errorf("got a reply %v, want %v", reply, test.reply)
				}
				if reply := toSender.total() > 0; reply != (test.reply && author == sends) {
					t.Errorf("got a reply to the sender %v, want only to its own Discovery", reply)
				}
				wantNoCredit(t, node.Node)
			})
		})
	}
}

// sniffedAs starts a node with this secret, or one of its own, whose messages are counted.
func sniffedAs(net *gamelantest.Network, secret *identity.Secret) (*gamelantest.Node, *sniffer) {
	s := &sniffer{from: make(map[identity.NodeID]int)}
	return net.Start(gamelan.Config{Secret: secret}, quiet, gamelan.WithLayer(dht.BeforeVerify, s.layer)), s
}
