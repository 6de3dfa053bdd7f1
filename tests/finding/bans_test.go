package finding

import (
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

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
		key := kit.Third.PublicKey()
		a.Key = key[:]
	}
	forge := func(a *wire.Announcement) { a.Signature.UpdatedAt-- }
	strange := func(a *wire.Announcement) { a.Features = 4 }
	unreadable := func(a *wire.Announcement) { a.Addresses = [][]byte{{0xff, 0xff, 0x7f}} }
	for _, test := range []struct {
		name   string
		m      kit.Announced
		known  bool          // the node knows the third
		before time.Duration // the third is banned for so long before
		ban    time.Duration // of the sender
		banned time.Duration // of the third
		stored bool          // the claim of the author
		passed bool          // relayed to a neighbour
		reply  bool          // a response goes to the author
	}{
		{name: "join", m: kit.Announced{Typ: join}, stored: true, passed: true},
		{name: "join of a third", m: kit.Announced{Typ: join, By: kit.Third}, stored: true, passed: true},
		{name: "join, unsigned", m: kit.Announced{Typ: join, Unsigned: true}, ban: protocol.BanMedium},
		{name: "join, undecodable", m: kit.Announced{Typ: join, Part: []byte{0xff}}, ban: protocol.BanLong},
		{name: "join, undecodable, of a known third", m: kit.Announced{Typ: join, By: kit.Third, Part: []byte{0xff}}, known: true, banned: protocol.BanLong},
		{name: "join, undecodable, of an unknown third", m: kit.Announced{Typ: join, By: kit.Third, Part: []byte{0xff}}},
		{name: "join with another's key", m: kit.Announced{Typ: join, Edit: foreign}, known: true, ban: protocol.BanLong},
		{name: "join with another's claim", m: kit.Announced{Typ: join, Of: kit.Third}, known: true, ban: protocol.BanLong},
		{name: "join without features that exist", m: kit.Announced{Typ: join, Edit: strange}},
		{name: "join with an unreadable address", m: kit.Announced{Typ: join, Edit: unreadable}},
		{name: "join with a malformed address", m: kit.Announced{Typ: join, Addresses: []string{"/ip4/8.8.8.8/tcp/0"}}, ban: protocol.BanMedium},
		{name: "join with a forged claim", m: kit.Announced{Typ: join, Edit: forge}, ban: protocol.BanMedium},
		{name: "join with a forged claim, of a known third", m: kit.Announced{Typ: join, By: kit.Third, Edit: forge}, known: true, banned: protocol.BanMedium},
		{name: "join, dated ahead", m: kit.Announced{Typ: join, Dated: 25 * time.Hour}, ban: protocol.BanMedium},
		{name: "join, 6 addresses", m: kit.Announced{Typ: join, Addresses: slices.Repeat([]string{"/memory/80"}, 6)}, ban: protocol.BanMedium},
		{name: "join, no address", m: kit.Announced{Typ: join, Addresses: []string{}}},
		{name: "join, no usable address", m: kit.Announced{Typ: join, By: kit.Third, Addresses: []string{"/dns4/a_b.com/tcp/1"}}},
		{name: "join, one usable address", m: kit.Announced{Typ: join, By: kit.Third, Addresses: []string{"/dns4/a_b.com/tcp/1", "/memory/9"}}, stored: true, passed: true},
		{name: "join of a banned third", m: kit.Announced{Typ: join, By: kit.Third}, known: true, before: time.Hour, banned: time.Hour, stored: true},

		{name: "discovery", m: kit.Announced{Typ: discover, Nonce: 7}, stored: true, reply: true},
		{name: "discovery of a third", m: kit.Announced{Typ: discover, By: kit.Third}, stored: true}, // nobody is where it says that it is
		{name: "discovery of a banned third", m: kit.Announced{Typ: discover, By: kit.Third}, known: true, before: time.Hour, banned: time.Hour, stored: true},
		{name: "discovery in clear, unsigned", m: kit.Announced{Typ: discover, Unsigned: true}, ban: protocol.BanMedium},
		{name: "discovery, undecodable", m: kit.Announced{Typ: discover, Part: []byte{0xff}}, ban: protocol.BanLong},
		{name: "discovery with another's claim", m: kit.Announced{Typ: discover, Of: kit.Third}, known: true, ban: protocol.BanLong},
		{name: "discovery, no claim", m: kit.Announced{Typ: discover, Edit: strange}, ban: protocol.BanLong},
		{name: "discovery, no claim, of a known third", m: kit.Announced{Typ: discover, By: kit.Third, Edit: strange}, known: true, banned: protocol.BanLong},
		{name: "discovery with a forged claim", m: kit.Announced{Typ: discover, Edit: forge}},
		{name: "discovery, no usable address", m: kit.Announced{Typ: discover, Addresses: []string{"/dns4/a_b.com/tcp/1"}}},

		{name: "response to nothing", m: kit.Announced{Typ: response, Nonce: 7}},
		{name: "response, unsigned", m: kit.Announced{Typ: response, Unsigned: true}, ban: protocol.BanMedium},
		{name: "response, undecodable", m: kit.Announced{Typ: response, Part: []byte{0xff}}, ban: protocol.BanLong},
		{name: "response with another's claim", m: kit.Announced{Typ: response, Of: kit.Third}, known: true, ban: protocol.BanLong},
		{name: "response of a known third", m: kit.Announced{Typ: response, By: kit.Third}, known: true, ban: protocol.BanLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				node := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				sender, toSender := sniffedAs(net, kit.Sends)
				neighbour, toNeighbour := sniffedAs(net, nil)
				net.Connect(sender, node.Node)
				net.Connect(node.Node, neighbour)
				if test.known {
					err := node.Peers().Add(t.Context(), peerstore.Peer{
						Key: kit.Third.PublicKey(), Features: identity.FeatureNode,
						Addresses: []peerstore.Address{{Addr: neighbour.Addr, Source: peerstore.Config}},
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				if test.before > 0 {
					if err := node.Peers().Ban(t.Context(), kit.Third.PublicKey().NodeID(), test.before, "test"); err != nil {
						t.Fatal(err)
					}
				}
				kit.Post(t, sender, node.Node, test.m.Compose(t, node.PublicKey()))
				time.Sleep(time.Second)
				for _, who := range []struct {
					name string
					key  identity.PublicKey
					ban  time.Duration
				}{{"sender", kit.Sends.PublicKey(), test.ban}, {"third", kit.Third.PublicKey(), test.banned}} {
					until, reason, banned := node.Peers().Banned(who.key.NodeID())
					got := time.Until(until) + time.Second
					if banned != (who.ban > 0) || banned && (got < who.ban || got > who.ban+time.Second) {
						t.Errorf("%s: got banned %v for %v (%s), want for %v", who.name, banned, got, reason, who.ban)
					}
				}
				author := kit.Sends
				if test.m.By != nil {
					author = test.m.By
				}
				p, _ := node.Peers().Get(author.PublicKey().NodeID())
				stored := slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool {
					return a.Source == peerstore.JoinMessage || a.Source == peerstore.Discovery
				})
				if stored != test.stored {
					t.Errorf("got stored %v (%+v), want %v", stored, p.Addresses, test.stored)
				}
				if passed := toNeighbour.Total() > 0; passed != test.passed {
					t.Errorf("got relayed %v, want %v", passed, test.passed)
				}
				if reply := node.DHT().Network().Searches.Answered > 0; reply != test.reply {
					t.Errorf("got a reply %v, want %v", reply, test.reply)
				}
				if reply := toSender.Total() > 0; reply != (test.reply && author == kit.Sends) {
					t.Errorf("got a reply to the sender %v, want only to its own Discovery", reply)
				}
				kit.WantNoCredit(t, node.Node)
			})
		})
	}
}

// sniffedAs starts a node with this secret, or one of its own, whose messages are counted.
func sniffedAs(net *gamelantest.Network, secret *identity.Secret) (*gamelantest.Node, *kit.Sniffer) {
	s := &kit.Sniffer{From: make(map[identity.NodeID]int)}
	return net.Start(gamelan.Config{Secret: secret}, kit.Quiet, gamelan.WithLayer(dht.BeforeVerify, s.Layer)), s
}
