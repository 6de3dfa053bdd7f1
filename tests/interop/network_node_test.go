package interop

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// kinds are the kinds of nodes in a mixed network.
var kinds = []string{"gamelan", "6.2.0", "1.0.0-rc.5"}

// netNode is a node of a mixed network, of whatever kind.
type netNode interface {
	kind() string
	pub() identity.PublicKey
	where() string // its address; empty for one that only dials

	// knows reports whether the peer is stored with an address, or without one if it
	// has none.
	knows(other netNode) bool
	connected() int
	// search looks for a peer in the network.
	search(key identity.PublicKey) error
	// write sends a message to a peer and reports whether it is certain to have gone out.
	write(to netNode, body string) (certain bool, err error)
	gossip(body string) error
	// read returns the messages that have come so far.
	read() []string
	// banned lists whom it has banned, with the reasons, and whom it has told of as banned.
	banned(all []netNode) []string
}

// tariNode is a Tari node.
type tariNode struct{ *tari }

func (r tariNode) kind() string            { return r.release }
func (r tariNode) pub() identity.PublicKey { return r.key }
func (r tariNode) where() string           { return r.addr }
func (r tariNode) connected() int          { return len(r.links()) }
func (r tariNode) read() (bodies []string) {
	for _, d := range r.delivered() {
		bodies = append(bodies, string(d.Body))
	}
	return bodies
}

func (r tariNode) knows(other netNode) bool {
	known := r.record(other.pub())
	return known.Known && (other.where() == "" || slices.Contains(known.Addresses, other.where()))
}

func (r tariNode) search(key identity.PublicKey) error {
	_, err := r.find(key)
	return err
}

func (r tariNode) write(to netNode, body string) (bool, error) {
	key := to.pub()
	p, err := r.post(letter{to: "key", key: &key, seal: "encrypted", discovery: true, messageType: domainType}, []byte(body))
	// A Tari node also calls a message sent that it wrote to a connection which has ended.
	if err == nil && (p.Queued != 1 || p.Copies[0].Ended != "sent") {
		err = fmt.Errorf("%+v", p)
	}
	return false, err
}

func (r tariNode) gossip(body string) error {
	_, err := r.post(letter{to: "broadcast", seal: "signed", messageType: domainType}, []byte(body))
	return err
}

func (r tariNode) banned(all []netNode) (list []string) {
	for _, id := range r.bans() {
		i := slices.IndexFunc(all, func(n netNode) bool { return n.pub().NodeID() == id })
		if i >= 0 && r.bansForTheirOwn(all[i]) {
			continue
		}
		list = append(list, fmt.Sprintf("%s (%d)", id.Short(), i))
	}
	for _, other := range all {
		if known := r.record(other.pub()); known.Banned && !r.bansForTheirOwn(other) {
			list = append(list, fmt.Sprintf("%s for %d s: %s", other.pub().Short(), known.BannedFor, known.BanReason))
		}
	}
	return list
}

// bansForTheirOwn reports whether a Tari node has banned another because a connection closed
// in the middle of a peer list. The server answers with an error then, and the client takes
// every status but OK for an offence (spec: dht 10.1). No node of ours is concerned.
func (r tariNode) bansForTheirOwn(other netNode) bool {
	known := r.record(other.pub())
	return other.kind() != "gamelan" && known.Banned && strings.HasPrefix(known.BanReason, "RPC status error")
}

// startTariNode starts a Tari node as one runs in a network: it joins, asks for peers and
// relays of its own accord.
func startTariNode(t *testing.T, release string, args ...string) tariNode {
	t.Helper()
	args = append([]string{"--dht-join", "true", "--dht-discovery", "true", "--dht-update-seconds", "5", "--dht-find-seconds", "10"}, args...)
	return tariNode{startTariDHT(t, release, append(args, forwards(release)...)...)}
}

// enter tells the node of a seed and connects them.
func (r tariNode) enter(seed netNode) {
	r.t.Helper()
	r.tari.knows(seed.pub(), seed.where())
	gamelantest.Eventually(r.t, connectLimit, "a connection with the seed", func() bool {
		return r.ask("dial", args{"peer": seed.pub().String()}, nil) == nil
	})
}

// ourNode is a node of ours.
type ourNode struct {
	*gamelan.Node
	t      *testing.T
	heard  *gamelantest.Collector
	listen string
}

func (o *ourNode) kind() string            { return "gamelan" }
func (o *ourNode) pub() identity.PublicKey { return o.PublicKey() }
func (o *ourNode) where() string           { return o.listen }
func (o *ourNode) connected() int          { return len(o.Connections()) }
func (o *ourNode) read() []string          { return o.heard.Bodies() }

func (o *ourNode) knows(other netNode) bool {
	p, ok := o.Peers().Get(other.pub().NodeID())
	if !ok || other.where() == "" {
		return ok
	}
	for _, a := range p.Addresses {
		if a.Addr.String() == other.where() {
			return true
		}
	}
	return false
}

func (o *ourNode) search(key identity.PublicKey) error {
	ctx, cancel := context.WithTimeout(o.t.Context(), connectLimit)
	defer cancel()
	_, err := o.DHT().Discover(ctx, key)
	return err
}

func (o *ourNode) write(to netNode, body string) (bool, error) {
	m := dht.Message{To: dht.DirectKey{Key: to.pub(), Discover: true}, Type: domainType, Body: []byte(body), Encrypt: true}
	r, err := o.DHT().Send(o.t.Context(), m)
	if err == nil && (len(r.Copies) != 1 || r.Count(protocol.Failed) > 0) {
		err = fmt.Errorf("%s", r.String())
	}
	return r.Count(protocol.Confirmed) == 1, err
}

func (o *ourNode) gossip(body string) error {
	r, err := o.DHT().Send(o.t.Context(), dht.Message{To: dht.Broadcast{}, Type: domainType, Body: []byte(body), Sign: true})
	if err == nil && len(r.Copies) == 0 {
		err = fmt.Errorf("%s", r.String())
	}
	return err
}

func (o *ourNode) banned([]netNode) (list []string) {
	for p := range o.Peers().All() {
		if p.Banned(time.Now()) {
			list = append(list, p.ID.Short()+": "+p.BanReason)
		}
	}
	return list
}

// startOurNode starts a node of ours as one runs in a network. It listens on loopback
// unless the settings say something else.
func startOurNode(t *testing.T, system *actor.ActorSystem, cfg gamelan.Config) *ourNode {
	t.Helper()
	o := &ourNode{t: t, heard: gamelantest.NewCollector()}
	cfg.DHT = &gamelan.DHTConfig{}
	cfg.Discovery.SearchLimit = 10 * time.Second
	opts := []gamelan.Option{
		gamelan.WithLogger(slog.New(slog.NewTextHandler(logTo(), nil))),
		gamelan.WithType(domainType, o.heard.New),
	}
	if system != nil {
		opts = append(opts, gamelan.WithSystem(system))
	}
	n, err := gamelan.Start(t.Context(), cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	o.Node = n
	if list := n.Addresses(); len(list) > 0 {
		o.listen = list[0].String()
	}
	return o
}

// asSeed names a node for Config.Seeds.
func asSeed(c netNode) string { return c.pub().String() + "::" + c.where() }

// strangers lists the pairs of which the first does not know the second, as indexes.
func strangers(all []netNode) (pairs [][2]int) {
	for i := range all {
		for j := range all {
			if i != j && !all[i].knows(all[j]) {
				pairs = append(pairs, [2]int{i, j})
			}
		}
	}
	return pairs
}

// meetAll waits until each knows each other, or for a pair of which must is false until a
// short time is over. It returns the pairs that are left then, and how long it took.
func meetAll(t *testing.T, all []netNode, must func(netNode) bool) (left [][2]int, took time.Duration) {
	t.Helper()
	const short = 20 * time.Second
	began := time.Now()
	for {
		left, took = strangers(all), time.Since(began)
		needed := slices.DeleteFunc(slices.Clone(left), func(pair [2]int) bool { return took > short && !must(all[pair[0]]) })
		if len(needed) == 0 {
			return left, took
		}
		if took > connectLimit {
			for _, pair := range needed {
				t.Errorf("%d (%s) does not know %d (%s) after %v", pair[0], all[pair[0]].kind(), pair[1], all[pair[1]].kind(), took)
			}
			return left, took
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// dialledBy counts the connections that our node has dialled.
func dialledBy(n *gamelan.Node) (out int) {
	for _, c := range n.Connections() {
		if c.Direction == protocol.Outbound {
			out++
		}
	}
	return out
}
